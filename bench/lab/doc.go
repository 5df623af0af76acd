// Package lab makes small networks of real parts on one machine: nodes are
// network namespaces, joined by a switch, which is a bridge in a namespace of
// its own. Tests, the demo and the benchmarks stand on it.
//
//	node "a"             switch               node "b"
//	┌───────────┐   ┌────────────────┐   ┌───────────┐
//	│ lo   eth0 ├───┤ a    br0     b ├───┤ eth0   lo │
//	└───────────┘   └────────────────┘   └───────────┘
//
// Nothing of it has a name on the host. A namespace lives as long as the OS
// thread that holds it, so it goes with the process, however that ends, and a
// guard process ends whatever was started inside (see guard).
//
// A program uses Open, Switch.Attach and the methods of Node, which return
// errors. A test uses New and Net.Node, which end the test instead, and says
// by Require what it cannot do without.
package lab
