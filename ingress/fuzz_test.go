package ingress

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"harmony/nginxconf"
	"harmony/source"
)

// FuzzIngress: whatever host, path and secret name are given, what is accepted
// is something that nginxconf can print without leaving anything out.
func FuzzIngress(f *testing.F) {
	for _, p := range []string{"/", "/x/", "/%78", "/a%2Fb", "/x{}\n}\nalias /;", "/é", "/a%20b", "/.", "/$x", "/%25"} {
		f.Add("a.example", p, "s", byte(0))
	}
	f.Add("*.a.example", "/", "../x", byte(1))
	f.Add("", "", "s", byte(2))
	types := []networkingv1.PathType{networkingv1.PathTypePrefix, networkingv1.PathTypeExact, networkingv1.PathTypeImplementationSpecific}
	f.Fuzz(func(t *testing.T, host, path, secret string, kind byte) {
		backend := networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "tea", Port: networkingv1.ServiceBackendPort{Number: 80}}}
		s := source.Snapshot{Ingresses: []networkingv1.Ingress{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "i"},
			Spec: networkingv1.IngressSpec{
				TLS: []networkingv1.IngressTLS{{SecretName: secret}},
				Rules: []networkingv1.IngressRule{{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
					Paths: []networkingv1.HTTPIngressPath{{Path: path, PathType: &types[int(kind)%len(types)], Backend: backend}},
				}}}},
			},
		}}}
		sites, upstreams, problems := Translate(s)
		refused := false
		for _, p := range problems {
			refused = refused || p.Refused
		}
		if refused != (len(sites) == 0) {
			t.Fatalf("sites %v, problems %v", sites, problems)
		}
		_, faults := nginxconf.Build(nginxconf.Config{Sites: sites, Upstreams: upstreams}, nginxconf.Features{Version: nginxconf.MinVersion, Workers: 1})
		if len(faults) > 0 {
			t.Errorf("accepted, but nginxconf refuses %v", faults)
		}
	})
}
