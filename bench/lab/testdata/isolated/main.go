// Isolated is a program as the demo is one: it isolates itself, makes a node,
// leaves a process behind, and ends as it is told.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"

	"harmony/bench/lab"
)

func main() {
	inside, code, err := lab.Isolate()
	if err == nil && inside {
		code, err = 7, run(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run leaves "sleep SECONDS" behind in a session of its own, says "ready", and
// waits for its input to end.
func run(seconds string) error {
	s, err := lab.Open()
	if err != nil {
		return err
	}
	if _, err := s.Attach(context.Background(), "a", "10.0.0.1/24"); err != nil {
		return err
	}
	out, err := exec.Command("ip", "netns", "exec", "a", "ip", "-br", "addr", "show", "eth0").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip netns exec: %w: %s", err, out)
	}
	if err := exec.Command("setsid", "-f", "sleep", seconds).Run(); err != nil {
		return err
	}
	fmt.Printf("%sready\n", out)
	if _, err := io.ReadAll(os.Stdin); err != nil {
		return err
	}
	return s.Close()
}
