package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a generic netlink socket for the IPVS family.
type socket struct {
	fd     int
	family uint16
	seq    uint32 // of the last message
	buf    []byte // for one read
	out    []byte // for one write
}

// dial opens a socket in the network namespace of the calling thread. No
// system call on it takes longer than limit. The caller closes it.
func dial(family uint16, limit time.Duration) (door, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	wait := unix.NsecToTimeval(limit.Nanoseconds())
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait),
	)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("setting up a netlink socket: %w", err)
	}
	return &socket{fd: fd, family: family, buf: make([]byte, 64<<10)}, nil
}

func (s *socket) close() { _ = unix.Close(s.fd) }

// append writes a message behind b: the headers of netlink and generic netlink,
// and the attributes.
func (s *socket) append(b []byte, m message, flags uint16) []byte {
	const version, reserved = 1, 0 // IPVS_GENL_VERSION
	s.seq++
	start := len(b)
	b = binary.NativeEndian.AppendUint32(b, 0) // the length, when it is known
	b = binary.NativeEndian.AppendUint16(b, s.family)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, s.seq)
	b = binary.NativeEndian.AppendUint32(b, 0) // from us to the kernel: it knows the port
	b = append(b, m.command, version, reserved, reserved)
	b = m.write(b)
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

func (s *socket) send(b []byte) error {
	err := unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	return os.NewSyscallError("sendto", err)
}

// receive hands every message that arrives to f, until f says that it was the
// last one. Their data are valid until f returns.
func (s *socket) receive(f func(syscall.NetlinkMessage) (last bool, err error)) error {
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return errSilent
		case err != nil:
			return os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(s.buf[:n])
		if err != nil {
			return fmt.Errorf("%w: %w", errTruncated, err)
		}
		for _, m := range messages {
			if last, err := f(m); last || err != nil {
				return err
			}
		}
	}
}

// batch implements door. The kernel works through the messages before the
// system call returns, and tells of failures; only the last one is answered in
// any case, which ends the wait.
func (s *socket) batch(messages []message) ([]error, error) {
	b := s.out[:0]
	first := s.seq + 1
	for i, m := range messages {
		var flags uint16
		if i == len(messages)-1 {
			flags = unix.NLM_F_ACK
		}
		b = s.append(b, m, flags)
	}
	s.out = b
	if err := s.send(b); err != nil {
		return nil, err
	}
	results := make([]error, len(messages))
	err := s.receive(func(m syscall.NetlinkMessage) (bool, error) {
		i := int(m.Header.Seq - first)
		if m.Header.Type != unix.NLMSG_ERROR || i < 0 || i >= len(results) {
			return false, nil // of an exchange that was given up
		}
		err := failure(m.Data)
		results[i] = err
		return i == len(results)-1, nil
	})
	return results, err
}

// dump implements door.
func (s *socket) dump(m message) (entries [][]byte, err error) {
	if err := s.send(s.append(s.out[:0], m, unix.NLM_F_DUMP)); err != nil {
		return nil, err
	}
	err = s.receive(func(m syscall.NetlinkMessage) (bool, error) {
		switch {
		case m.Header.Seq != s.seq:
			return false, nil
		case m.Header.Type == unix.NLMSG_DONE || m.Header.Type == unix.NLMSG_ERROR:
			return true, failure(m.Data)
		case len(m.Data) >= unix.GENL_HDRLEN:
			entries = append(entries, slices.Clone(m.Data[unix.GENL_HDRLEN:]))
		}
		return false, nil
	})
	return entries, err
}

// failure is the error that an answer begins with; 0 is none.
func failure(data []byte) error {
	if len(data) < 4 {
		return errTruncated
	}
	if code := int32(binary.NativeEndian.Uint32(data)); code < 0 {
		return unix.Errno(-code)
	}
	return nil
}
