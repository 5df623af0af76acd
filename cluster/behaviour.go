package cluster

import (
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
	"harmony/source"
	"harmony/vrrp"
)

// maxDelay bounds what a router may be told to wait for, as keepalived does.
const maxDelay = 1000 * time.Second

// patience reads what a router waits for before it takes over, and with whom.
func patience(r *source.Report, to *vrrp.Router, spec v1alpha1.VirtualRouterSpec) {
	r.Range("spec.downTimerAdverts", *spec.DownTimerAdverts, 1, 100)
	duration(r, "spec.startupDelay", spec.StartupDelay, 0, maxDelay, time.Millisecond)
	duration(r, "spec.linkUpDelay", spec.LinkUpDelay, 0, maxDelay, time.Millisecond)
	if spec.SyncGroup != "" {
		r.Grammar("spec.syncGroup", spec.SyncGroup, validation.IsDNS1123Label)
	}
	to.DownAdverts = uint8(*spec.DownTimerAdverts)
	to.StartupDelay, to.LinkUpDelay = spec.StartupDelay.Duration, spec.LinkUpDelay.Duration
	to.Group = spec.SyncGroup
}

// announcing reads how addresses are announced.
func announcing(r *source.Report, a v1alpha1.Announce) vrrp.Announcing {
	r.Range("spec.announce.repeat", *a.Repeat, 1, 60)
	if a.Delay.Duration != 0 {
		duration(r, "spec.announce.delay", a.Delay, time.Second, time.Hour, time.Millisecond)
	}
	if a.Refresh.Duration != 0 {
		duration(r, "spec.announce.refresh", a.Refresh, time.Second, 24*time.Hour, time.Millisecond)
	}
	return vrrp.Announcing{Repeat: int(*a.Repeat), Delay: a.Delay.Duration, Refresh: a.Refresh.Duration}
}
