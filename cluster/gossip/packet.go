package gossip

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"hash/crc32"
)

// This is memberlist's packet (its net.go, label.go and security.go), as far as
// adverts need it: they are read and written on the engine's own thread, for a
// message that waits in memberlist's queues is one that a timer has not heard.
// A user message of ours is one for memberlist itself, and the other way round.
//
//	packet    = [label] (sealed / plain)
//	label     = 244 LENGTH NAME
//	sealed    = 1 NONCE(12) AES-GCM(plain; label name as additional data)
//	plain     = [12 CRC32(4)] 8 MESSAGE
const (
	markUser    = 8
	markCRC     = 12
	markLabel   = 244
	sealVersion = 1
	nonceLen    = 12
	tagLen      = 16
	crcLen      = 1 + 4
)

// label keeps apart what shares a port with us.
const label = "harmony"

// header is what every packet of ours begins with.
var header = append([]byte{markLabel, byte(len(label))}, label...)

// newCipher returns the cipher of a key.
func newCipher(k Key) cipher.AEAD {
	block, err := aes.NewCipher(k.secret[:])
	if err != nil {
		return nil // the length of a Key is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil // AES has the block size of GCM
	}
	return aead
}

// packUser returns the packet of a user message; a nil cipher leaves it
// unencrypted. No nonce may be used twice with a key.
func packUser(aead cipher.AEAD, nonce [nonceLen]byte, message []byte) []byte {
	size := len(header) + 1 + nonceLen + 1 + len(message) + tagLen
	packet := append(make([]byte, 0, size), header...)
	plain := append([]byte{markUser}, message...)
	if aead == nil {
		return append(packet, plain...)
	}
	packet = append(packet, sealVersion)
	packet = append(packet, nonce[:]...)
	return aead.Seal(packet, nonce[:], plain, []byte(label))
}

// content says what a packet is.
type content uint8

const (
	foreign    content = iota // not of our label
	unreadable                // sealed with none of our keys, or spoilt
	membership                // for memberlist itself
	user                      // a user message
)

// unpack opens a packet. Of a user message it returns the text and which of the
// ciphers opened it; without ciphers packets are not encrypted.
func unpack(aeads []cipher.AEAD, packet []byte) (what content, message []byte, by int) {
	if !bytes.HasPrefix(packet, header) {
		return foreign, nil, 0
	}
	plain := packet[len(header):]
	if len(aeads) > 0 {
		if plain, by = unseal(aeads, plain); plain == nil {
			return unreadable, nil, 0
		}
	}
	if len(plain) > crcLen && plain[0] == markCRC {
		if binary.BigEndian.Uint32(plain[1:]) != crc32.ChecksumIEEE(plain[crcLen:]) {
			return unreadable, nil, 0
		}
		plain = plain[crcLen:]
	}
	if len(plain) == 0 || plain[0] != markUser {
		return membership, nil, by
	}
	return user, plain[1:], by
}

// unseal decrypts with the first cipher that can, or returns nil.
func unseal(aeads []cipher.AEAD, sealed []byte) (plain []byte, by int) {
	if len(sealed) < 1+nonceLen+tagLen || sealed[0] != sealVersion {
		return nil, 0
	}
	nonce, text := sealed[1:1+nonceLen], sealed[1+nonceLen:]
	for i, aead := range aeads {
		if plain, err := aead.Open(make([]byte, 0, len(text)), nonce, text, []byte(label)); err == nil {
			return plain, i
		}
	}
	return nil, 0
}
