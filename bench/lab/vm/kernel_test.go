package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDepends(t *testing.T) {
	tests := []struct {
		name string
		text string
		want []string
	}{
		{
			name: "Debian",
			text: "linux-image-amd64\n  Depends: linux-image-6.1.0-9-amd64\n",
			want: []string{"linux-image-6.1.0-9-amd64"},
		},
		{
			name: "Ubuntu",
			text: "linux-image-generic\n  Depends: linux-image-6.8.0-50-generic\n  Depends: linux-modules-extra-6.8.0-50-generic\n  Depends: linux-firmware\n  Depends: intel-microcode\n",
			want: []string{"linux-image-6.8.0-50-generic", "linux-modules-extra-6.8.0-50-generic"},
		},
		{
			name: "alternatives",
			text: "x\n |Depends: linux-image-6.8.0-50-generic\n  Depends: linux-image-unsigned-6.8.0-50-generic\n  Depends: kmod\n",
			want: []string{"linux-image-6.8.0-50-generic"},
		},
		{
			name: "none",
			text: "x\n  Depends: kmod\n  Suggests: linux-image-doc\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parseDepends([]byte(tt.text))); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadOrder(t *testing.T) {
	const dep = `kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet.ko.xz: kernel/lib/a.ko.xz
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/drivers/virtio/virtio.ko.xz
kernel/fs/overlayfs/overlay.ko.xz:
kernel/fs/other.ko.xz:
`
	want := []string{
		"kernel/fs/netfs/netfs.ko.xz", "kernel/net/9p/9pnet.ko.xz", "kernel/fs/9p/9p.ko.xz",
		"kernel/drivers/virtio/virtio.ko.xz", "kernel/net/9p/9pnet_virtio.ko.xz",
		"kernel/fs/overlayfs/overlay.ko.xz",
	}
	got := loadOrder(dep, []string{"virtio_pci_builtin", "9p", "9pnet_virtio", "overlay"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}
