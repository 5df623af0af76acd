package nft

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Values of linux/netfilter/nf_tables.h and netfilter.h.
const (
	tableOwner = 0x2  // NFT_TABLE_F_OWNER
	setConcat  = 0x80 // NFT_SET_CONCAT
	accept     = 1    // NF_ACCEPT
)

// perMessage bounds the elements of one message: the attribute that holds them
// has 16 bits of length, and an element takes up to 40 bytes.
const perMessage = 1000

// layout is one table of ours: one base chain with its rules, and the sets that
// these look into.
type layout struct {
	family uint8
	table  string
	flags  uint32

	chain    string
	kind     nftables.ChainType
	hook     uint32
	priority nftables.ChainPriority

	sets  []set
	rules []rule
}

// set is a set without its elements.
type set struct {
	name string
	key  []nftables.SetDatatype // its parts
}

// rule is a list of encoded expressions.
type rule [][]byte

// content is a layout with the elements its sets should have, in their order;
// sets left out are empty.
type content struct {
	layout
	keys []keys
}

// with returns the content of l.
func (l layout) with(elements ...keys) content { return content{l, elements} }

// of returns the elements of the i-th set.
func (c content) of(i int) keys {
	if i < len(c.keys) {
		return c.keys[i]
	}
	return nil
}

// encode returns the rule that expressions make in family.
func encode(family uint8, expressions ...expr.Any) (rule, error) {
	var out rule
	for _, e := range expressions {
		data, err := expr.Marshal(family, e)
		if err != nil {
			return nil, fmt.Errorf("nft expression: %w", err)
		}
		out = append(out, data)
	}
	return out, nil
}

// tag names this layout in the comment of each of its rules, by which a table
// in the kernel is known to be the same.
func (l layout) tag() string {
	return fmt.Sprintf("harmony %x", sha256.Sum256(fmt.Append(nil, l)))[:len("harmony ")+16]
}

// sync makes the kernel hold exactly wanted, in one transaction, and reports
// whether it had to write. A table whose rules are not ours is made anew.
func (c conn) sync(wanted ...content) (changed bool, err error) {
	var b batch
	for _, w := range wanted {
		have, intact, err := c.read(w.layout)
		if err != nil {
			return false, fmt.Errorf("table %s: %w", w.table, err)
		}
		if !intact {
			b.deleteTable(w.layout)
			b.create(w)
			continue
		}
		for i := range w.sets {
			b.edit(w.layout, i, w.of(i).missing(have[i]), have[i].missing(w.of(i)))
		}
	}
	return len(b.messages) > 0, c.commit(b)
}

// read returns the elements of l's sets, and whether the table is there and
// has l's rules and no others.
func (c conn) read(l layout) (have []keys, intact bool, err error) {
	var tags []string
	err = c.dump(unix.NFT_MSG_GETRULE, l.family, l.name(unix.NFTA_RULE_TABLE), func(d *netlink.AttributeDecoder) error {
		comment := ""
		for d.Next() {
			if d.Type() == unix.NFTA_RULE_USERDATA {
				comment, _ = userdata.GetString(d.Bytes(), userdata.TypeComment)
			}
		}
		tags = append(tags, comment)
		return d.Err()
	})
	if errors.Is(err, unix.ENOENT) || err == nil && !slices.Equal(tags, slices.Repeat([]string{l.tag()}, len(l.rules))) {
		return nil, false, nil
	}
	for _, s := range l.sets {
		if err != nil {
			break
		}
		var elements keys
		err = c.dump(unix.NFT_MSG_GETSETELEM, l.family, func(e *netlink.AttributeEncoder) {
			e.String(unix.NFTA_SET_ELEM_LIST_TABLE, l.table)
			e.String(unix.NFTA_SET_ELEM_LIST_SET, s.name)
		}, func(d *netlink.AttributeDecoder) error {
			found, err := decodeKeys(d)
			elements = append(elements, found...)
			return err
		})
		have = append(have, elements.compact())
	}
	return have, err == nil, err
}

// decodeKeys returns the keys in one message of set elements.
func decodeKeys(d *netlink.AttributeDecoder) (found keys, err error) {
	// The keys lie three levels down, each level wrapped in the one above.
	path := []uint16{unix.NFTA_SET_ELEM_LIST_ELEMENTS, unix.NFTA_LIST_ELEM, unix.NFTA_SET_ELEM_KEY}
	var walk func(d *netlink.AttributeDecoder, depth int) error
	walk = func(d *netlink.AttributeDecoder, depth int) error {
		for d.Next() {
			switch {
			case depth == len(path) && d.Type() == unix.NFTA_DATA_VALUE:
				found = append(found, string(d.Bytes()))
			case depth < len(path) && d.Type() == path[depth]:
				d.Nested(func(in *netlink.AttributeDecoder) error { return walk(in, depth+1) })
			}
		}
		return d.Err()
	}
	err = walk(d, 0)
	return found, err
}

// name writes the table's name as attribute kind.
func (l layout) name(kind uint16) attributes {
	return func(e *netlink.AttributeEncoder) { e.String(kind, l.table) }
}

// deleteTable deletes the table of this name, which need not be there.
func (b *batch) deleteTable(l layout) {
	b.add(unix.NFT_MSG_NEWTABLE, netlink.Create, l.family, l.name(unix.NFTA_TABLE_NAME))
	b.add(unix.NFT_MSG_DELTABLE, 0, l.family, l.name(unix.NFTA_TABLE_NAME))
}

// create makes the table with all that is in it. It must not be there.
func (b *batch) create(c content) {
	b.add(unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Excl, c.family, func(e *netlink.AttributeEncoder) {
		e.String(unix.NFTA_TABLE_NAME, c.table)
		e.Uint32(unix.NFTA_TABLE_FLAGS, c.flags)
	})
	b.add(unix.NFT_MSG_NEWCHAIN, netlink.Create, c.family, func(e *netlink.AttributeEncoder) {
		e.String(unix.NFTA_CHAIN_TABLE, c.table)
		e.String(unix.NFTA_CHAIN_NAME, c.chain)
		e.String(unix.NFTA_CHAIN_TYPE, string(c.kind))
		e.Uint32(unix.NFTA_CHAIN_POLICY, accept)
		e.Nested(unix.NFTA_CHAIN_HOOK, nested(func(e *netlink.AttributeEncoder) {
			e.Uint32(unix.NFTA_HOOK_HOOKNUM, c.hook)
			e.Uint32(unix.NFTA_HOOK_PRIORITY, uint32(c.priority))
		}))
	})
	for i, s := range c.sets {
		b.add(unix.NFT_MSG_NEWSET, netlink.Create, c.family, func(e *netlink.AttributeEncoder) {
			e.String(unix.NFTA_SET_TABLE, c.table)
			e.Uint32(unix.NFTA_SET_ID, uint32(i+1)) // unique in its batch and table
			s.write(e)
		})
	}
	for _, r := range c.rules {
		b.add(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, c.family, func(e *netlink.AttributeEncoder) {
			e.String(unix.NFTA_RULE_TABLE, c.table)
			e.String(unix.NFTA_RULE_CHAIN, c.chain)
			e.Bytes(unix.NFTA_RULE_USERDATA, userdata.AppendString(nil, userdata.TypeComment, c.tag()))
			e.Nested(unix.NFTA_RULE_EXPRESSIONS, nested(func(e *netlink.AttributeEncoder) {
				for _, expression := range r {
					e.Bytes(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, expression)
				}
			}))
		})
	}
	for i := range c.sets {
		b.edit(c.layout, i, c.of(i), nil)
	}
}

// write describes the set. Of a concatenated key it tells the length of
// each part, without which nft(8) cannot print it.
func (s set) write(e *netlink.AttributeEncoder) {
	var magic, length, flags uint32
	for _, part := range s.key {
		magic = magic<<nftables.SetConcatTypeBits | part.GetNFTMagic()
		length += (part.Bytes + 3) &^ 3 // each takes whole registers
	}
	if len(s.key) > 1 {
		flags = setConcat
	}
	e.String(unix.NFTA_SET_NAME, s.name)
	e.Uint32(unix.NFTA_SET_FLAGS, flags)
	e.Uint32(unix.NFTA_SET_KEY_TYPE, magic)
	e.Uint32(unix.NFTA_SET_KEY_LEN, length)
	if len(s.key) == 1 {
		return
	}
	const concat, fieldLength = 2, 1 // NFTA_SET_DESC_CONCAT, NFTA_SET_FIELD_LEN
	e.Nested(unix.NFTA_SET_DESC, nested(func(e *netlink.AttributeEncoder) {
		e.Nested(concat, nested(func(e *netlink.AttributeEncoder) {
			for _, part := range s.key {
				e.Nested(unix.NFTA_LIST_ELEM, nested(func(e *netlink.AttributeEncoder) {
					e.Uint32(fieldLength, part.Bytes)
				}))
			}
		}))
	}))
}

// edit adds and removes elements of the i-th set.
func (b *batch) edit(l layout, i int, add, remove keys) {
	change := func(kind uint16, flags netlink.HeaderFlags, all keys) {
		for part := range slices.Chunk(all, perMessage) {
			var elements []byte
			for _, key := range part {
				elements = appendElement(elements, key)
			}
			b.add(kind, flags, l.family, func(e *netlink.AttributeEncoder) {
				e.String(unix.NFTA_SET_ELEM_LIST_TABLE, l.table)
				e.String(unix.NFTA_SET_ELEM_LIST_SET, l.sets[i].name)
				e.Bytes(unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_LIST_ELEMENTS, elements)
			})
		}
	}
	change(unix.NFT_MSG_NEWSETELEM, netlink.Create, add)
	change(unix.NFT_MSG_DELSETELEM, 0, remove)
}

// appendElement appends the three nested attributes of an element. An encoder
// for each of them would take longer than the kernel takes for the element.
func appendElement(b []byte, key string) []byte {
	const header = 4 // a struct nlattr; keys are whole registers and need no padding
	kinds := [...]uint16{unix.NLA_F_NESTED | unix.NFTA_LIST_ELEM, unix.NLA_F_NESTED | unix.NFTA_SET_ELEM_KEY, unix.NFTA_DATA_VALUE}
	for i, kind := range kinds {
		b = binary.NativeEndian.AppendUint16(b, uint16(len(key)+header*(len(kinds)-i)))
		b = binary.NativeEndian.AppendUint16(b, kind)
	}
	return append(b, key...)
}
