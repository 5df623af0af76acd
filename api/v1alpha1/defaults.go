package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// WithDefaults returns a copy of s in which every field that was left out has
// the default that its comment states. s is not changed.
func (s VirtualRouterSpec) WithDefaults() VirtualRouterSpec {
	s = *s.DeepCopy()
	setDefault(&s.Priority, ptr.To[int32](100))
	setDefault(&s.Version, 3)
	setDefault(&s.Checksum, ChecksumPseudoHeader)
	s.Authentication.setDefaults()
	setDefault(&s.AdvertInterval, &metav1.Duration{Duration: time.Second})
	setDefault(&s.Preempt.Mode, PreemptAlways)
	setDefault(&s.Transport.Mode, TransportMulticast)
	setDefault(&s.DownTimerAdverts, ptr.To[int32](3))
	setDefault(&s.StartupDelay, &metav1.Duration{})
	setDefault(&s.LinkUpDelay, &metav1.Duration{})
	setDefault(&s.Announce.Repeat, ptr.To[int32](5))
	setDefault(&s.Announce.Delay, &metav1.Duration{Duration: 5 * time.Second})
	setDefault(&s.Announce.Refresh, &metav1.Duration{Duration: time.Minute})
	for i := range s.Track {
		s.Track[i].withDefaults()
	}
	s.VirtualMAC.withDefaults(s.Transport.Mode)
	s.Firewall.withDefaults()
	return s
}

// WithDefaults returns a copy of s in which every field that was left out has
// the default that its comment states. s is not changed.
func (s L4ServiceSpec) WithDefaults() L4ServiceSpec {
	s = *s.DeepCopy()
	setDefault(&s.Protocol, ProtocolTCP)
	setDefault(&s.Scheduler, "wlc")
	setDefault(&s.Forwarding, ForwardingNAT)
	setDefault(&s.Masquerade, ptr.To(s.Forwarding == ForwardingNAT && s.FWMark == nil))
	if s.FWMark != nil {
		setDefault(&s.FWMark.Family, FamilyIPv4)
	}
	if s.Forwarding == ForwardingTUN {
		setDefault(&s.Tunnel.Type, TunnelIPIP)
		setDefault(&s.Tunnel.Checksum, TunnelChecksumNone)
	}
	for i := range s.RealServers {
		setDefault(&s.RealServers[i].Port, ptr.To(s.Port))
		setDefault(&s.RealServers[i].Weight, ptr.To[int32](1))
	}
	if s.Service != nil {
		setDefault(&s.Service.Namespace, metav1.NamespaceDefault)
	}
	checked := CheckNone
	if s.Protocol == ProtocolTCP && s.FWMark == nil {
		checked = CheckTCP
	}
	setDefault(&s.Check.Type, checked)
	setDefault(&s.Check.Interval, &metav1.Duration{Duration: 2 * time.Second})
	setDefault(&s.Check.Timeout, &metav1.Duration{Duration: min(time.Second, s.Check.Interval.Duration)})
	setDefault(&s.Check.Rise, ptr.To[int32](2))
	setDefault(&s.Check.Fall, ptr.To[int32](3))
	return s
}

// WithDefaults returns a copy of s in which every field that was left out has
// the default that its comment states.
func (s SettingsSpec) WithDefaults() SettingsSpec {
	s = *s.DeepCopy()
	setDefault(&s.HTTPPort, ptr.To[int32](80))
	setDefault(&s.HTTPSPort, ptr.To[int32](443))
	s.Gossip.setDefaults()
	for i := range s.Scripts {
		setDefault(&s.Scripts[i].Timeout, &metav1.Duration{Duration: 10 * time.Second})
	}
	return s
}

func (a *Authentication) setDefaults() {
	setDefault(&a.Type, AuthenticationNone)
	if a.Password != nil {
		setDefault(&a.Password.Namespace, metav1.NamespaceDefault)
	}
	for i := range a.Keys {
		setDefault(&a.Keys[i].Secret.Namespace, metav1.NamespaceDefault)
	}
	if a.Type == AuthenticationHMAC {
		setDefault(&a.Mode, AuthenticationEnforce)
		if len(a.Keys) > 0 {
			setDefault(&a.ActiveKey, ptr.To(a.Keys[0].ID))
		}
	}
}

// setDefault sets *field to value if it is zero.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
