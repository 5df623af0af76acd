package source

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"harmony/api/v1alpha1"
)

func TestProblemString(t *testing.T) {
	ref := Ref{Kind: "Ingress", Namespace: "default", Name: "cafe"}
	tests := []struct {
		name string
		p    Problem
		want string
	}{
		{"whole", Problem{File: "a.yaml", Line: 3, Object: ref, Field: "spec.x", Text: "bad"}, "a.yaml:3: Ingress default/cafe spec.x: bad"},
		{"no line", Problem{File: "a.yaml", Object: ref, Text: "bad"}, "a.yaml: Ingress default/cafe: bad"},
		{"no object", Problem{File: "a.yaml", Line: 3, Text: "bad"}, "a.yaml:3: bad"},
		{"no file", Problem{Object: Ref{Kind: "Settings", Name: "default"}, Field: "spec", Text: "bad"}, "Settings default spec: bad"},
		{"hostile", Problem{Object: Ref{Kind: "a\nb", Name: "\x1b[2J\xff"}, Text: "bad\r"}, `a\nb \x1b[2J�: bad\r`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.p.String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// secret returns a TLS Secret with a certificate for key.
func secret(t *testing.T, public, private any) *corev1.Secret {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Unix(1<<32, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"},
		Type:       corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		},
	}
}

func ecSecret(t *testing.T) *corev1.Secret {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return secret(t, key.Public(), key)
}

func TestKeyPair(t *testing.T) {
	good, other := ecSecret(t), ecSecret(t)
	crt, key := good.Data[corev1.TLSCertKey], good.Data[corev1.TLSPrivateKeyKey]
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}})
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"DEK-Info": "x"}, Bytes: []byte{1}})
	notX509 := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	tests := []struct {
		name     string
		kind     corev1.SecretType
		crt, key []byte
		want     string // field; "" for a pair
	}{
		{"good", corev1.SecretTypeTLS, crt, key, ""},
		{"text around", corev1.SecretTypeTLS, join([]byte("subject: x\n"), crt, []byte("\n \n")), join(parameters, key), ""},
		{"chain", corev1.SecretTypeTLS, join(crt, other.Data[corev1.TLSCertKey]), key, ""},
		{"Opaque", corev1.SecretTypeOpaque, crt, key, "type"},
		{"no certificate", corev1.SecretTypeTLS, nil, key, "data[tls.crt]"},
		{"no key", corev1.SecretTypeTLS, crt, nil, "data[tls.key]"},
		{"not PEM", corev1.SecretTypeTLS, []byte("hello"), key, "data[tls.crt]"},
		{"cut off", corev1.SecretTypeTLS, crt[:len(crt)-20], key, "data[tls.crt]"},
		{"junk begins after it", corev1.SecretTypeTLS, join(crt, []byte("-----BEGIN")), key, "data[tls.crt]"},
		{"broken block before it", corev1.SecretTypeTLS, join([]byte("-----BEGIN CERTIFICATE-----\nx\n"), crt), key, "data[tls.crt]"},
		{"not X.509", corev1.SecretTypeTLS, join(crt, notX509), key, "data[tls.crt]"},
		{"key among the certificates", corev1.SecretTypeTLS, join(crt, key), key, "data[tls.crt]"},
		{"certificate as key", corev1.SecretTypeTLS, crt, crt, "data[tls.key]"},
		{"two keys", corev1.SecretTypeTLS, crt, join(key, key), "data[tls.key]"},
		{"encrypted", corev1.SecretTypeTLS, crt, encrypted, "data[tls.key]"},
		{"another's key", corev1.SecretTypeTLS, crt, other.Data[corev1.TLSPrivateKeyKey], "data[tls.key]"},
		{"too large", corev1.SecretTypeTLS, bytes.Repeat(crt, mostPEM/len(crt)+1), key, "data[tls.crt]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gotCrt, gotKey, err := KeyPair(&corev1.Secret{Type: tt.kind, Data: map[string][]byte{"tls.crt": tt.crt, "tls.key": tt.key}})
			bad, _ := errors.AsType[*KeyPairError](err)
			switch {
			case tt.want == "" && (err != nil || !bytes.HasPrefix(gotCrt, crt) || !bytes.Equal(gotKey, key)):
				t.Errorf("got %q, %q, %v", gotCrt, gotKey, err)
			case tt.want != "" && (bad == nil || bad.Field != tt.want || gotCrt != nil || gotKey != nil):
				t.Errorf("got %v, want one about %s", err, tt.want)
			}
		})
	}
}

func TestKeyPairOfSmallRSA(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := KeyPair(secret(t, key.Public(), key)); err == nil {
		t.Error("accepted a key that NGINX will not")
	}
}

func TestAdmit(t *testing.T) {
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	service := func(ports ...corev1.ServicePort) Snapshot {
		return Snapshot{Services: []corev1.Service{{ObjectMeta: meta("default", "tea"), Spec: corev1.ServiceSpec{Ports: ports}}}}
	}
	slice := func(family discoveryv1.AddressType, port int32, addresses ...string) Snapshot {
		s := discoveryv1.EndpointSlice{ObjectMeta: meta("default", "tea"), AddressType: family,
			Ports: []discoveryv1.EndpointPort{{Port: &port}}, Endpoints: []discoveryv1.Endpoint{{Addresses: addresses}}}
		s.Labels = map[string]string{discoveryv1.LabelServiceName: "tea"}
		return Snapshot{EndpointSlices: []discoveryv1.EndpointSlice{s}}
	}
	tests := []struct {
		name string
		s    Snapshot
		want []string // code and field of what refuses
	}{
		{"good service", service(corev1.ServicePort{Port: 80}), nil},
		{"two ports", service(corev1.ServicePort{Port: 80, Name: "a"}, corev1.ServicePort{Port: 80, Name: "b", Protocol: "UDP"}), nil},
		{"port 0", service(corev1.ServicePort{}), []string{"OutOfRange spec.ports[0].port"}},
		{"port 65536", service(corev1.ServicePort{Port: 65536}), []string{"OutOfRange spec.ports[0].port"}},
		{"protocol", service(corev1.ServicePort{Port: 80, Protocol: "ICMP"}), []string{"Invalid spec.ports[0].protocol"}},
		{"same port twice", service(corev1.ServicePort{Port: 80, Name: "a"}, corev1.ServicePort{Port: 80, Name: "b", Protocol: "TCP"}), []string{"Duplicate spec.ports[1].port"}},
		{"same name twice", service(corev1.ServicePort{Port: 80, Name: "a"}, corev1.ServicePort{Port: 81, Name: "a"}), []string{"Duplicate spec.ports[1].name"}},
		{"no names", service(corev1.ServicePort{Port: 80}, corev1.ServicePort{Port: 81}), []string{"Required spec.ports[0].name", "Required spec.ports[1].name"}},
		{"hostile name", service(corev1.ServicePort{Port: 80, Name: "a;b"}), []string{"Invalid spec.ports[0].name"}},
		{"type", Snapshot{Services: []corev1.Service{{ObjectMeta: meta("default", "tea"), Spec: corev1.ServiceSpec{Type: "Magic"}}}}, []string{"Invalid spec.type"}},
		{"good slice", slice("IPv4", 80, "10.0.0.1", "127.0.0.1"), nil},
		{"good IPv6 slice", slice("IPv6", 80, "fd00::1", "::1"), nil},
		{"wrong family", slice("IPv6", 80, "10.0.0.1"), []string{"Invalid endpoints[0].addresses[0]"}},
		{"not an address", slice("IPv4", 80, "10.0.0.1", "10.0.0.300"), []string{"Invalid endpoints[0].addresses[1]"}},
		{"host name", slice("IPv4", 80, "localhost"), []string{"Invalid endpoints[0].addresses[0]"}},
		{"link-local", slice("IPv4", 80, "169.254.169.254"), []string{"Invalid endpoints[0].addresses[0]"}},
		{"multicast", slice("IPv6", 80, "ff02::1"), []string{"Invalid endpoints[0].addresses[0]"}},
		{"IPv4 in IPv6", slice("IPv6", 80, "::ffff:10.0.0.1"), []string{"Invalid endpoints[0].addresses[0]"}},
		{"zone", slice("IPv6", 80, "fd00::1%eth0"), []string{"Invalid endpoints[0].addresses[0]"}},
		{"slice port", slice("IPv4", 0, "10.0.0.1"), []string{"OutOfRange ports[0].port"}},
		{"address type", slice("IPX", 80, "10.0.0.1"), []string{"Invalid addressType"}},
		{"names", slice("FQDN", 80, "a.example"), nil},
		{"no name", Snapshot{VirtualRouters: []v1alpha1.VirtualRouter{{}}}, []string{"Required metadata.name"}},
		{"bad name", Snapshot{L4Services: []v1alpha1.L4Service{{ObjectMeta: meta("", "a/../b")}}}, []string{"Invalid metadata.name"}},
		{"namespace of a cluster's", Snapshot{Settings: []v1alpha1.Settings{{ObjectMeta: meta("default", "default")}}}, []string{"Invalid metadata.namespace"}},
		{"no namespace", Snapshot{Secrets: []corev1.Secret{{ObjectMeta: meta("", "a")}}}, []string{"Invalid metadata.namespace"}},
		{"not a key pair", Snapshot{Secrets: []corev1.Secret{{ObjectMeta: meta("default", "a"), Type: corev1.SecretTypeTLS}}}, []string{"Invalid data[tls.crt]"}},
		{"not meant to be one", Snapshot{Secrets: []corev1.Secret{{ObjectMeta: meta("default", "a")}}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good, problems := Admit(tt.s)
			var got []string
			for _, p := range problems {
				if p.Refused {
					got = append(got, p.Code+" "+p.Field)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("refusals (-want +got)\n%s\n%v", diff, problems)
			}
			if kept := len(good.Refs()) > 0; kept != (tt.want == nil) {
				t.Errorf("kept: %v", kept)
			}
		})
	}
}

func TestBackends(t *testing.T) {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "tea"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{
		{Name: "http", Port: 80, TargetPort: intstr.FromString("web")}, {Name: "dns", Port: 53, Protocol: "UDP"}, {Name: "dnstcp", Port: 53},
	}}}
	slice := func(name, namespace, service, portName string, port int32, endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
		return discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
			AddressType: "IPv4", Endpoints: endpoints,
			Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: &port}, {Name: ptr.To("dns"), Port: ptr.To[int32](5353), Protocol: ptr.To(corev1.ProtocolUDP)}},
		}
	}
	at := func(ready *bool, addresses ...string) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: addresses, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
	}
	six := slice("six", "default", "tea", "http", 8080, at(nil, "fd00::1"))
	six.AddressType = "IPv6"
	s := Snapshot{Services: []corev1.Service{*svc}, EndpointSlices: []discoveryv1.EndpointSlice{
		slice("b", "default", "tea", "http", 8080, at(nil, "10.0.0.2", "10.0.0.1"), at(ptr.To(false), "10.0.0.9")),
		slice("a", "default", "tea", "http", 8080, at(ptr.To(true), "10.0.0.3", "10.0.0.1")),
		six,
		slice("of another port", "default", "tea", "admin", 9090, at(nil, "10.0.0.4")),
		slice("of another service", "default", "coffee", "http", 8080, at(nil, "10.0.0.5")),
		slice("of another namespace", "n", "tea", "http", 8080, at(nil, "10.0.0.6")),
	}}
	tests := []struct {
		name     string
		port     intstr.IntOrString
		protocol corev1.Protocol
		want     []string // nil: no such port
	}{
		{"number", intstr.FromInt32(80), "TCP", []string{"10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080", "[fd00::1]:8080"}},
		{"name", intstr.FromString("http"), "", []string{"10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080", "[fd00::1]:8080"}},
		{"protocol", intstr.FromInt32(53), "UDP", []string{"10.0.0.1:5353", "10.0.0.2:5353", "10.0.0.3:5353", "10.0.0.4:5353", "[fd00::1]:5353"}},
		{"no endpoint", intstr.FromInt32(53), "TCP", []string{}},
		{"name of the target", intstr.FromString("web"), "", nil},
		{"number of the target", intstr.FromInt32(8080), "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := s.Backends()
			port, ok := Port(b.Service("default", "tea"), tt.port, tt.protocol)
			if ok != (tt.want != nil) {
				t.Fatalf("found: %v", ok)
			}
			if !ok {
				return
			}
			got := []string{}
			for _, e := range b.Endpoints(svc, port) {
				got = append(got, e.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	st := NewStore(dir)
	if s, err := st.Load(); err != nil || len(s.Refs()) != 0 {
		t.Fatalf("with nothing kept: %v, %v", s.Refs(), err)
	}
	ref := Ref{Kind: KindSecret, Namespace: "default", Name: "s"}
	want := Snapshot{Secrets: []corev1.Secret{*ecSecret(t)}, Origins: map[Ref]Origin{ref: {File: "dir/a.yaml"}}}
	withLines := want
	withLines.Origins = map[Ref]Origin{ref: {File: "dir/a.yaml", Line: 3, Fields: map[string]int{"type": 4}}}
	for range 2 { // the second replaces the first
		if err := st.Save(withLines); err != nil {
			t.Fatal(err)
		}
	}
	got, err := st.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-saved +loaded)\n%s", diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("files: %v, %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestStoreDamaged(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut": `{"version":1,"snap`, "other version": `{"version":2}`, "other type": `[]`, "no version": `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, storeName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := NewStore(dir).Load()
			if err == nil || !strings.Contains(err.Error(), storeName) || len(s.Refs()) != 0 {
				t.Errorf("got %v, %v", s.Refs(), err)
			}
		})
	}
}

func TestStoreCannotWrite(t *testing.T) {
	if err := NewStore(filepath.Join(t.TempDir(), "missing")).Save(Snapshot{}); err == nil {
		t.Error("saved into nothing")
	}
}
