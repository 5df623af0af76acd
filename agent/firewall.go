package agent

import (
	"fmt"
	"io"
	"strings"

	"harmony/ipvs"
	"harmony/nft"
)

// writeFirewall lists the guarded addresses and the ports that they take.
func writeFirewall(w io.Writer, g nft.Guard) {
	if len(g.Addresses) == 0 {
		return
	}
	fmt.Fprintf(w, "\nGUARDED ADDRESS\tTAKES\n")
	for _, addr := range g.Addresses {
		takes := []string{"ping"}
		for _, e := range g.Open {
			if e.Address != addr {
				continue
			}
			text := strings.ToLower(ipvs.Protocol(e.Protocol).String())
			if e.Port != 0 {
				text += fmt.Sprintf("/%d", e.Port)
			}
			takes = append(takes, text)
		}
		fmt.Fprintf(w, "%s\t%s\n", addr, strings.Join(takes, ", "))
	}
}
