package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// comma quotes a path for QEMU's options, where two commas stand for one.
func comma(path string) string { return strings.ReplaceAll(path, ",", ",,") }

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// saveTerminal returns what puts f back as it is now: QEMU makes its terminal
// raw and cannot undo that when killed.
func saveTerminal(f *os.File) (restore func()) {
	state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, state) }
}
