package main

import (
	"fmt"
	"time"
)

// limits are how long nobody, and two, may answer, while the event lasts and
// after it. A negative limit is none.
type limits struct{ dark, overlap, darkAfter, overlapAfter time.Duration }

// limits follow from the protocol. slack is what the machine and the observer
// may add.
func (c cell) limits(slack time.Duration) limits {
	l := limits{dark: slack, overlap: c.interval() + slack, darkAfter: slack, overlapAfter: c.interval() + slack}
	switch c.Event {
	case "stop":
		if c.First == theirs { // it removes the addresses at once
			l.dark += c.skew()
		}
	case "kill":
		l.dark += c.down()
		if c.First == theirs { // its kernel goes on to answer until it is started again
			l.overlap, l.overlapAfter = -1, -1
		} else { // the kernel silences ours
			l.overlap = slack
		}
	case "cut":
		l.dark += c.down()
	case "pause":
		l.dark += c.down()
		l.overlap = c.down() + slack // by then the watchdog has silenced ours
		if c.First == theirs {
			l.overlap = -1
		}
	case "one-way": // both are right, as far as they can know
		l.overlap = -1
	case "preempt":
		// The one that stops gives the addresses back.
		if other(c.First) == theirs {
			l.darkAfter += (256 - high) * c.interval() / 256
		}
	case "nopreempt":
		if c.First == theirs {
			l.darkAfter += c.interval() // the skew of priority 200 is less
		}
	}
	if c.Feature == "VMAC" { // both have the same MAC: who answers cannot be told
		l.overlap, l.overlapAfter = -1, -1
	}
	return l
}

// verdict is what is wrong with an outcome; nothing if it is as it shall be.
func (o outcome) verdict(slack time.Duration) (wrong []string) {
	if o.Err != nil {
		return append([]string{o.Err.Error()}, o.complaints()...)
	}
	l := o.limits(slack)
	for _, m := range []struct {
		what       string
		got, limit time.Duration
	}{
		{"nobody answered for", o.During.Dark, l.dark},
		{"two answered for", o.During.Overlap, l.overlap},
		{"afterwards nobody answered for", o.After.Dark, l.darkAfter},
		{"afterwards two answered for", o.After.Overlap, l.overlapAfter},
	} {
		if m.limit >= 0 && m.got > m.limit {
			wrong = append(wrong, fmt.Sprintf("%s %v, the limit is %v", m.what, m.got.Round(time.Millisecond), m.limit))
		}
	}
	return append(wrong, o.complaints()...)
}

// complaints are the first few.
func (o outcome) complaints() []string {
	if more := len(o.Complaints) - 3; more > 0 {
		return append(o.Complaints[:3:3], fmt.Sprintf("and %d more", more))
	}
	return o.Complaints
}
