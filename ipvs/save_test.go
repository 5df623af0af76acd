package ipvs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSave(t *testing.T) {
	services := parse(t, `
		-A -t [2001:db8::1]:80 -s wlc
		-a -t [2001:db8::1]:80 -r [fd00::2]:80 -g -w 0
		-A -u 192.0.2.1:53 -s mh -p 300
		-A -t 192.0.2.10:80 -s rr
		-a -t 192.0.2.10:80 -r 10.0.0.10:8080 -m -w 1
		-a -t 192.0.2.10:80 -r 10.0.0.9:8081 -m -w 65535
		-a -t 192.0.2.10:80 -r 10.0.0.9:8080 -m -w 1
		-A -t 192.0.2.9:80 -s rr`)
	sctp := Service{Key: Key{Address: services[0].Address, Port: 5060, Protocol: SCTP}, Scheduler: "rr"}
	var b strings.Builder
	if err := Save(&b, append(services, sctp)); err != nil {
		t.Fatal(err)
	}
	const want = `-A -t 192.0.2.9:80 -s rr
-A -t 192.0.2.10:80 -s rr
-a -t 192.0.2.10:80 -r 10.0.0.9:8080 -m -w 1
-a -t 192.0.2.10:80 -r 10.0.0.9:8081 -m -w 65535
-a -t 192.0.2.10:80 -r 10.0.0.10:8080 -m -w 1
-A -u 192.0.2.1:53 -s mh -p 300
-A -t [2001:db8::1]:80 -s wlc
-a -t [2001:db8::1]:80 -r [fd00::2]:80 -g -w 0
-A --sctp-service [2001:db8::1]:5060 -s rr
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("Save (-want +got):\n%s", d)
	}
}

type fullDisk struct{ error }

func (d fullDisk) Write([]byte) (int, error) { return 0, d.error }

func TestSaveReportsTheWriter(t *testing.T) {
	full := errors.New("disk full")
	if err := Save(fullDisk{full}, table(1, 1, 1)); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

func TestValidate(t *testing.T) {
	valid := func() Service {
		return parse(t, `
			-A -t 192.0.2.1:80 -s rr -p 300
			-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 65535
			-a -t 192.0.2.1:80 -r 10.0.0.2:80 -g -w 0`)[0]
	}
	if err := valid().Validate(); err != nil {
		t.Fatalf("valid service: %v", err)
	}
	any := valid()
	any.Port, any.Destinations[0].Port, any.Destinations[1].Port = 0, 0, 0
	if err := any.Validate(); err != nil {
		t.Errorf("all ports of an address: %v", err)
	}
	for _, tt := range []struct {
		name  string
		spoil func(*Service)
		err   string
	}{
		{"no address", func(s *Service) { s.Address = addr("") }, "ipvs service TCP invalid AddrPort: not a unicast address without a zone"},
		{"unspecified", func(s *Service) { s.Address = addr("0.0.0.0") }, "ipvs service TCP 0.0.0.0:80: not a unicast address without a zone"},
		{"multicast", func(s *Service) { s.Address = addr("224.0.0.18") }, "ipvs service TCP 224.0.0.18:80: not a unicast address without a zone"},
		{"mapped", func(s *Service) { s.Address = addr("::ffff:192.0.2.1") }, "ipvs service TCP [::ffff:192.0.2.1]:80: not a unicast address without a zone"},
		{"zone", func(s *Service) { s.Address = addr("fe80::1%eth0") }, "ipvs service TCP [fe80::1%eth0]:80: not a unicast address without a zone"},
		{"protocol", func(s *Service) { s.Protocol = 1 }, "ipvs service protocol 1 192.0.2.1:80: protocol must be TCP, UDP or SCTP"},
		{"port 0", func(s *Service) { s.Port, s.Persistence = 0, 0 }, "ipvs service TCP 192.0.2.1:0: port 0 (all ports) needs persistence"},
		{"no scheduler", func(s *Service) { s.Scheduler = "" }, "ipvs service TCP 192.0.2.1:80: scheduler name must have 1 to 15 characters"},
		{"long scheduler", func(s *Service) { s.Scheduler = "abcdefghijklmnop" }, "ipvs service TCP 192.0.2.1:80: scheduler name must have 1 to 15 characters"},
		{"odd scheduler", func(s *Service) { s.Scheduler = "rr -p" }, "ipvs service TCP 192.0.2.1:80: scheduler name must consist of a-z, 0-9 and _"},
		{"split second", func(s *Service) { s.Persistence = 1500 * time.Millisecond }, "ipvs service TCP 192.0.2.1:80: persistence must be whole seconds, at most 31 days"},
		{"negative persistence", func(s *Service) { s.Persistence = -time.Second }, "ipvs service TCP 192.0.2.1:80: persistence must be whole seconds, at most 31 days"},
		{"long persistence", func(s *Service) { s.Persistence = 32 * 24 * time.Hour }, "ipvs service TCP 192.0.2.1:80: persistence must be whole seconds, at most 31 days"},
		{"destination of another family", func(s *Service) { s.Destinations[0].Address = addr("fd00::1") }, "ipvs service TCP 192.0.2.1:80: destination [fd00::1]:8080: must be of the service's address family, except with TUN"},
		{"destination without address", func(s *Service) { s.Destinations[0].Address = addr("0.0.0.0") }, "ipvs service TCP 192.0.2.1:80: destination 0.0.0.0:8080: not a unicast address without a zone"},
		{"direct routing to another port", func(s *Service) { s.Destinations[1].Port = 81 }, "ipvs service TCP 192.0.2.1:80: destination 10.0.0.2:81: DR cannot change the port: it must be 80"},
		{"destination on port 0", func(s *Service) { s.Destinations[0].Port = 0 }, "ipvs service TCP 192.0.2.1:80: destination 10.0.0.1:0: port 0 is only for a service on port 0"},
		{"negative weight", func(s *Service) { s.Destinations[0].Weight = -1 }, "ipvs service TCP 192.0.2.1:80: destination 10.0.0.1:8080: weight must be 0..65535"},
		{"large weight", func(s *Service) { s.Destinations[0].Weight = 65536 }, "ipvs service TCP 192.0.2.1:80: destination 10.0.0.1:8080: weight must be 0..65535"},
		{"tunnel", func(s *Service) { s.Destinations[0].Forwarding = TUN }, "ipvs service TCP 192.0.2.1:80: destination 10.0.0.1:8080: TUN cannot change the port: it must be 80"},
		{"other method", func(s *Service) { s.Destinations[0].Forwarding = 1 }, "ipvs service TCP 192.0.2.1:80: destination 10.0.0.1:8080: forwarding must be NAT, DR or TUN"},
		{"same destination twice", func(s *Service) { s.Destinations = append(s.Destinations, s.Destinations[0]) }, "ipvs service TCP 192.0.2.1:80: destination 10.0.0.1:8080: given twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := valid()
			tt.spoil(&s)
			err := s.Validate()
			if _, ok := errors.AsType[*InvalidError](err); !ok || err.Error() != tt.err {
				t.Errorf("got  %v\nwant %s", err, tt.err)
			}
		})
	}
}
