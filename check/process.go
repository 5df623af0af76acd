package check

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// maxNumber bounds what a file may hold for a Number: nothing above moves a
// priority further.
const maxNumber = 1_000_000

// parseNumber reads a number in decimal, with blanks around it.
func parseNumber(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n > maxNumber || n < -maxNumber {
		return 0, fmt.Errorf("the file does not hold a number from %d to %d", -maxNumber, maxNumber)
	}
	return n, nil
}

// parsePID reads the number of a process.
func parsePID(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > 1<<22 { // PID_MAX_LIMIT
		return 0, errors.New("the file does not hold the number of a process")
	}
	return n, nil
}

// parseStat reads the beginning of /proc/PID/stat: "PID (NAME) STATE ...",
// where the name may hold anything, parentheses and line ends too. running is
// false for a zombie.
func parseStat(stat []byte) (name string, running, ok bool) {
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 0 || to < from || to+2 >= len(stat) {
		return "", false, false
	}
	state := stat[to+2]
	return string(stat[from+1 : to]), state != 'Z' && state != 'X', true
}

// maxComm is how much of a name the kernel keeps in stat.
const maxComm = 15

// programOf is the name of the program's file in /proc/PID/cmdline, "" for a
// thread of the kernel.
func programOf(cmdline []byte) string {
	first, _, _ := bytes.Cut(cmdline, []byte{0})
	if len(first) == 0 {
		return ""
	}
	return path.Base(string(first))
}

// isNamed says whether the process is one of the executable: the name that a
// program gives itself is not always that of its file.
func (p process) isNamed(executable string) bool {
	return p.file == executable || p.comm == executable && len(executable) <= maxComm
}

// judgeCount says whether n processes are as many as there should be.
func judgeCount(spec Spec, n int) error {
	switch {
	case n < spec.Min && n == 0:
		return fmt.Errorf("no process %s runs", spec.Name)
	case n < spec.Min:
		return fmt.Errorf("%d processes %s run, fewer than %d", n, spec.Name, spec.Min)
	case spec.Max > 0 && n > spec.Max:
		return fmt.Errorf("%d processes %s run, more than %d", n, spec.Name, spec.Max)
	}
	return nil
}
