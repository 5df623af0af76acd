package gossip

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// nonces count up from a random beginning in 96 bits. That two lives with one
// key meet is as good as impossible, however many messages each sends; nonces
// that are each random would repeat after some billions.
type nonces struct {
	prefix [4]byte
	last   atomic.Uint64
}

func (n *nonces) seed() error {
	var seed [nonceLen]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return fmt.Errorf("start gossip: %w", err)
	}
	n.prefix = [4]byte(seed[:4])
	n.last.Store(binary.BigEndian.Uint64(seed[4:]))
	return nil
}

func (n *nonces) next() (nonce [nonceLen]byte) {
	copy(nonce[:], n.prefix[:])
	binary.BigEndian.PutUint64(nonce[4:], n.last.Add(1))
	return nonce
}
