package nginxconf

import (
	"fmt"
	"strings"
)

// checkName says what keeps s from being a DNS name in lower case (RFC 1123).
func checkName(s string) error {
	if len(s) > 253 {
		return fmt.Errorf("%d bytes are too long for a host, 253 is the most", len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return fmt.Errorf("%q is not a host: a label is empty", s)
		case len(label) > 63:
			return fmt.Errorf("%q is not a host: a label is longer than 63 bytes", s)
		case !only(label, lower+digits+"-"):
			return fmt.Errorf("%q is not a host: only lower-case letters, digits, '-' and '.' may be in it", s)
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Errorf("%q is not a host: a label begins or ends with '-'", s)
		}
	}
	return nil
}

// checkHost accepts "", a name, and a name whose first label is "*".
func checkHost(s string) error {
	if s == "" {
		return nil
	}
	return checkName(strings.TrimPrefix(s, "*."))
}
