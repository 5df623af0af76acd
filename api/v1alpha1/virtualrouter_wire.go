package v1alpha1

// Checksum is what the checksum of an advert of version 3 over IPv4 covers, on
// which the RFCs can be read in two ways.
//
// +kubebuilder:validation:Enum=PseudoHeader;MessageOnly
type Checksum string

// The forms of the checksum.
const (
	ChecksumPseudoHeader Checksum = "PseudoHeader" // addresses and advert (RFC 5798, keepalived's default)
	ChecksumMessageOnly  Checksum = "MessageOnly"  // the advert alone (RFC 9568, keepalived's v3_checksum_as_v2)
)
