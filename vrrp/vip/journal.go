package vip

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"harmony/runfile"
	"harmony/vrrp"
)

const (
	journalVersion = 2
	journalLimit   = 16 << 20 // bytes
)

// journal is the file that outlives us. Its order of writing is the contract:
// before an address is added it names it as ours. It is not synced to disk,
// because a crash of the machine takes the addresses along; for the same
// reason it is void under another Boot.
type journal struct {
	Version  int       `json:"version"`
	Boot     string    `json:"boot"` // /proc/sys/kernel/random/boot_id
	Ours     []place   `json:"ours"`
	Foreign  []place   `json:"foreign"`
	Devices  []Device  `json:"devices,omitempty"`
	Settings []setting `json:"settings,omitempty"` // to be restored
	Routing            // of all routers
}

// journal returns what is to be kept of l.
func (l *ledger) journal(boot string) journal {
	return journal{Version: journalVersion, Boot: boot, Ours: l.with(absent, placed), Foreign: l.with(foreign)}
}

// routing returns what a life before may have left.
func (r Routing) routing() routing {
	out := routing{routes: make(map[vrrp.Route]bool), rules: make(map[vrrp.Rule]bool)}
	for _, route := range r.Routes {
		out.routes[route] = true
	}
	for _, rule := range r.Rules {
		out.rules[rule] = true
	}
	return out
}

// equipment returns the devices and settings that a life before has left.
func (j journal) equipment() devices {
	d := devices{ours: make(map[string]Device, len(j.Devices)), changed: j.Settings}
	for _, dev := range j.Devices {
		d.ours[dev.Name] = dev
	}
	return d
}

// ledger returns what is known at the start of a life. Ours may have been put
// there by the one before.
func (j journal) ledger() ledger {
	l := ledger{claims: make(map[place]claim, len(j.Ours)+len(j.Foreign))}
	for _, p := range j.Foreign {
		l.claims[p] = foreign
	}
	for _, p := range j.Ours {
		l.claims[p] = placed
	}
	return l
}

// errNewer says that a later release has written the journal in this boot, so
// that what it says must not be ignored.
var errNewer = errors.New("written by a later release; remove the addresses it names, then the file")

// parseJournal returns the journal in data if it is of this boot. One that
// cannot be read is as good as none: only a crash of the machine leaves one.
func parseJournal(data []byte, boot string) (j journal, err error) {
	if json.Unmarshal(data, &j) != nil || j.Boot != boot {
		return journal{}, nil
	}
	if j.Version > journalVersion {
		return journal{}, errNewer
	}
	for _, p := range append(j.Ours, j.Foreign...) {
		if p.Interface == "" || !p.Prefix.IsValid() {
			return journal{}, nil
		}
	}
	for _, d := range j.Devices {
		if d.Name == "" || d.Parent == "" || d.VRID == 0 {
			return journal{}, nil
		}
	}
	return j, nil
}

// loadJournal reads the journal at path. None is an empty one.
func loadJournal(path, boot string) (journal, error) {
	data, err := runfile.Read(path, journalLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return journal{}, nil
	}
	if err != nil {
		return journal{}, fmt.Errorf("address journal: %w", err)
	}
	j, err := parseJournal(data, boot)
	if err != nil {
		return journal{}, fmt.Errorf("address journal %s: %w", path, err)
	}
	return j, nil
}
