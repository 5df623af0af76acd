package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// github.com/google/nftables cannot say the flags of a table, nor the
// direction that "ct original" needs. So its expressions and set types are
// used, but the messages are made here.

const (
	// patience bounds an exchange with the kernel. It answers within a
	// millisecond, but the first time it may have to load modules.
	patience = 30 * time.Second
	// stragglers is the wait for answers that may not come. The kernel queues
	// them while it takes the request: only a starved process finds them late.
	stragglers = 100 * time.Millisecond
	// attempts bounds the dumps of what others keep changing meanwhile.
	attempts = 5
	// headerLen is the length of a struct nfgenmsg.
	headerLen = 4
	// room is how large one transaction may be.
	room = 8 << 20
)

// errChanging says that others changed nftables during each of several dumps.
var errChanging = errors.New("nftables keeps changing")

// attributes writes the attributes of a message or of a nested attribute.
type attributes func(*netlink.AttributeEncoder)

// message returns a request of kind NFT_MSG_... for a table's family. Numbers
// in it are big-endian, as nftables wants them.
func message(kind uint16, flags netlink.HeaderFlags, family uint8, write attributes) (netlink.Message, error) {
	encoder := netlink.NewAttributeEncoder()
	encoder.ByteOrder = binary.BigEndian
	write(encoder)
	data, err := encoder.Encode()
	if err != nil {
		return netlink.Message{}, fmt.Errorf("nft message: %w", err)
	}
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: netlink.Request | flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, data...),
	}, nil
}

// nested adapts attributes to AttributeEncoder.Nested, whose encoders do not
// inherit the byte order.
func nested(write attributes) func(*netlink.AttributeEncoder) error {
	return func(e *netlink.AttributeEncoder) error {
		e.ByteOrder = binary.BigEndian
		write(e)
		return nil
	}
}

// batch is a transaction: the kernel takes all of it or nothing.
type batch struct {
	messages []netlink.Message
	err      error // the first failed add
}

func (b *batch) add(kind uint16, flags netlink.HeaderFlags, family uint8, write attributes) {
	m, err := message(kind, flags|netlink.Acknowledge, family, write)
	b.messages = append(b.messages, m)
	b.err = errors.Join(b.err, err)
}

// conn is a netlink socket to nftables, used by one goroutine at a time.
type conn struct{ *netlink.Conn }

// dial opens the socket in the network namespace of the calling thread.
func dial() (conn, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return conn{}, fmt.Errorf("opening nftables: %w", err)
	}
	if err := c.SetWriteBuffer(room); err != nil {
		return conn{}, errors.Join(fmt.Errorf("opening nftables: %w", err), c.Close())
	}
	return conn{c}, nil
}

// commit sends b, if there is anything in it, and waits for the kernel's word.
func (c conn) commit(b batch) error {
	if b.err != nil || len(b.messages) == 0 {
		return b.err
	}
	bound := func(kind uint16) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request},
			Data:   binary.BigEndian.AppendUint32(nil, unix.NFNL_SUBSYS_NFTABLES),
		}
	}
	all := append([]netlink.Message{bound(unix.NFNL_MSG_BATCH_BEGIN)}, b.messages...)
	all = append(all, bound(unix.NFNL_MSG_BATCH_END))
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("writing nftables: %w", err)
	}
	if _, err := c.SendMessages(all); err != nil {
		return fmt.Errorf("writing nftables: %w", err)
	}
	return c.acknowledged(len(b.messages))
}

// acknowledged reads the kernel's word on each of n messages. All of them are
// read after a failure too, so that the next exchange does not take them for
// its own; where the kernel has refused the transaction as a whole there is
// only one, and the wait for others is short.
func (c conn) acknowledged(n int) (failure error) {
	for range n {
		_, err := c.Receive()
		if errors.Is(err, os.ErrDeadlineExceeded) && failure != nil {
			break
		}
		if err == nil || failure != nil {
			continue
		}
		failure = fmt.Errorf("writing nftables: %w", err)
		if err := c.SetReadDeadline(time.Now().Add(stragglers)); err != nil {
			break
		}
	}
	return failure
}

// drain reads answers that are late, n at most.
func (c conn) drain(n int) {
	for range n {
		if err := c.SetReadDeadline(time.Now().Add(stragglers)); err != nil {
			return
		}
		if _, err := c.Receive(); errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// dump asks for everything of a kind and calls read with the attributes of
// each answer. Of tables that are not there the error wraps unix.ENOENT.
func (c conn) dump(kind uint16, family uint8, write attributes, read func(*netlink.AttributeDecoder) error) error {
	request, err := message(kind, netlink.Dump, family, write)
	if err != nil {
		return err
	}
	answers, err := c.consistent(request)
	if err != nil {
		return fmt.Errorf("reading nftables: %w", err)
	}
	for _, m := range answers {
		if len(m.Data) < headerLen {
			return fmt.Errorf("reading nftables: answer of %d bytes", len(m.Data))
		}
		attrs, err := netlink.NewAttributeDecoder(m.Data[headerLen:])
		if err != nil {
			return fmt.Errorf("reading nftables: %w", err)
		}
		if err := read(attrs); err != nil {
			return fmt.Errorf("reading nftables: %w", err)
		}
	}
	return nil
}

// consistent repeats a dump until nothing has changed while it was made.
func (c conn) consistent(request netlink.Message) ([]netlink.Message, error) {
	last := errChanging
	for range attempts {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
		answers, err := c.Execute(request)
		if err != nil {
			if errors.As(err, new(unix.Errno)) { // the kernel's word
				return nil, err
			}
			// We were too late for an answer, which is still to come: a
			// starved process must not take it for the next one.
			last = err
			c.drain(attempts)
			continue
		}
		interrupted := false
		for _, m := range answers {
			interrupted = interrupted || m.Header.Flags&netlink.DumpInterrupted != 0
		}
		if !interrupted {
			return answers, nil
		}
	}
	return nil, last
}
