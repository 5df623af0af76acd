package nginxconf

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is NGINX's version. The zero value is none.
type Version struct{ Major, Minor, Patch int }

// MinVersion is the oldest NGINX that is used: ssl_reject_handshake came with
// 1.19.4, and the -e option, which keeps the distribution's error log out of
// play, with 1.19.5.
var MinVersion = Version{1, 19, 5}

// ParseVersion reads "1.22.1" or the line of nginx -v, such as
// "nginx version: nginx/1.22.1 (Debian)".
func ParseVersion(s string) (Version, error) {
	text := strings.TrimSpace(s)
	if _, after, ok := strings.Cut(text, "/"); ok {
		text = after
	}
	text, _, _ = strings.Cut(text, " ")
	text, _, _ = strings.Cut(text, "\n")
	parts := strings.Split(text, ".")
	if len(parts) < 3 {
		return Version{}, fmt.Errorf("%q is not a version of NGINX", s)
	}
	var n [3]int
	for i := range n {
		v, err := strconv.ParseUint(parts[i], 10, 16)
		if err != nil {
			return Version{}, fmt.Errorf("%q is not a version of NGINX", s)
		}
		n[i] = int(v)
	}
	return Version{n[0], n[1], n[2]}, nil
}

// String returns "1.22.1".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// AtLeast reports whether v is min or later.
func (v Version) AtLeast(min Version) bool {
	if v.Major != min.Major {
		return v.Major > min.Major
	}
	if v.Minor != min.Minor {
		return v.Minor > min.Minor
	}
	return v.Patch >= min.Patch
}
