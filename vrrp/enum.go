package vrrp

import "fmt"

// enumName is the name of v in names, or its number when it has none.
func enumName[T ~uint8](names []string, v T) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%d", uint8(v))
}

// enumValue stores in v the index of text in names.
func enumValue[T ~uint8](names []string, text []byte, v *T) error {
	for i, name := range names {
		if name != "" && name == string(text) {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %q", text, names)
}
