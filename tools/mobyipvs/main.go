// Command mobyipvs is a peer of bench/bulk: it fills the ip_vs table by
// github.com/moby/ipvs, which sends one command per system call.
//
//	mobyipvs SERVICES REALS
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/moby/ipvs"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mobyipvs:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: mobyipvs SERVICES REALS")
	}
	services, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	reals, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	h, err := ipvs.New("")
	if err != nil {
		return err
	}
	defer h.Close()
	for i := range services {
		s := &ipvs.Service{
			Address: net.IPv4(192, 0, byte(i>>8), byte(i)).To4(), Port: 80, Protocol: syscall.IPPROTO_TCP,
			SchedName: "rr", AddressFamily: syscall.AF_INET, Netmask: 0xffffffff,
		}
		if err := h.NewService(s); err != nil {
			return err
		}
		for j := range reals {
			d := &ipvs.Destination{Address: net.IPv4(10, 0, byte(j>>8), byte(j)).To4(), Port: 80, Weight: 1}
			if err := h.NewDestination(s, d); err != nil {
				return err
			}
		}
	}
	return nil
}
