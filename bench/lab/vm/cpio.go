package main

import (
	"bufio"
	"fmt"
	"io"
)

// cpio writes an archive in the "newc" format, which is what the kernel
// unpacks as its first root (Documentation/driver-api/early-userspace).
type cpio struct {
	w     *bufio.Writer
	inode int
}

func newCPIO(w io.Writer) *cpio { return &cpio{w: bufio.NewWriter(w)} }

// Modes of inodes, as in stat(2).
const (
	cpioDir  = 0o040755
	cpioFile = 0o100755
)

// add appends a file or an empty folder; parents come first. Errors show in
// close.
func (c *cpio) add(name string, mode int, data []byte) {
	c.inode++
	// magic, inode, mode, uid, gid, links, mtime, size, device and rdevice
	// (major, minor), length of the name with its NUL, checksum (unused).
	fields := []int{c.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0}
	fmt.Fprint(c.w, "070701")
	for _, f := range fields {
		fmt.Fprintf(c.w, "%08X", f)
	}
	fmt.Fprint(c.w, name, "\x00")
	c.pad(6 + 8*len(fields) + len(name) + 1)
	c.w.Write(data)
	c.pad(len(data))
}

// pad fills up to four bytes.
func (c *cpio) pad(length int) {
	for ; length%4 != 0; length++ {
		c.w.WriteByte(0)
	}
}

// close ends the archive; the writer below stays open.
func (c *cpio) close() error {
	c.add("TRAILER!!!", 0, nil)
	return c.w.Flush()
}
