package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"harmony/source"
	"harmony/source/folder"
)

// pool has objects that are refused on their own, or that lose against the cafe.
func pool() []string {
	ingress := "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: %s}\nspec: {rules: [{host: %s, http: {paths: [{path: %q, pathType: %s, backend: {service: {name: %s, port: {number: 80}}}}]}}]}\n"
	return []string{
		router("aaa", "vrid: 51, addresses: [10.90.0.300/24]"),
		router("aab", "vrid: 51, addresses: [10.90.0.100/24], priority: 0"),
		router("aac", "vrid: 51, addresses: [10.90.0.100/24], interface: ''"),
		router("zza", "vrid: 51, addresses: [10.90.0.101/24]"),
		router("zzb", "vrid: 52, addresses: [10.90.0.102/24, 'fd90::100/64']"),
		service("aad", "address: 10.90.0.100, realServers: [{address: 10.90.0.11, port: 70000}]"),
		service("aae", "address: 10.90.0.100, scheduler: none"),
		service("zzc", "address: 10.90.0.100, scheduler: lc"),
		object("Settings", "other", "httpPort: 1"),
		object("Settings", "aaf", "httpPort: 0"),
		fmt.Sprintf(ingress, "aag", "cafe.example.com", "/tea\nx", "Prefix", "coffee-svc"),
		fmt.Sprintf(ingress, "aah", "cafe.example.com", "/tea", "Regex", "coffee-svc"),
		fmt.Sprintf(ingress, "aai", "cafe.example.com;", "/tea", "Prefix", "coffee-svc"),
		fmt.Sprintf(ingress, "zzd", "cafe.example.com", "/tea", "Prefix", "coffee-svc"),
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: tea-svc.x}\nspec: {ports: [{port: 80}]}\n",
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: other}\ntype: kubernetes.io/tls\ndata: {tls.crt: eA==, tls.key: eA==}\n",
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: aaj, labels: {kubernetes.io/service-name: tea-svc}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.90.0.99]}, {addresses: [10.90.0.999]}]\n",
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: aak, labels: {kubernetes.io/service-name: tea-svc}}\naddressType: IPv4\nports: [{name: http, port: 99999}]\nendpoints: [{addresses: [10.90.0.99]}]\n",
	}
}

// TestBadObjectsChangeNothing adds any of the pool to the cafe, in any order:
// the plan stays the same, byte for byte, and each is reported.
func TestBadObjectsChangeNothing(t *testing.T) {
	good, problems := folder.Load("../docs/examples/cafe")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := planText(t, good)
	random := rand.New(rand.NewPCG(1, 2))
	all := pool()
	for i := range 60 {
		picked := random.Perm(len(all))[:1+random.IntN(len(all))]
		if i < len(all) {
			picked = []int{i}
		}
		text := ""
		for _, j := range picked {
			text += all[j]
		}
		bad := snapshot(t, text)
		s := mixed(random, good.Merge(bad))
		if diff := cmp.Diff(want, planText(t, s)); diff != "" {
			t.Fatalf("the plan changed by\n%s\n%s", text, diff)
		}
		_, problems := Translate(s)
		told := make(map[source.Ref]bool)
		for _, p := range problems {
			told[p.Object] = told[p.Object] || p.Severity == source.Error
		}
		for _, ref := range bad.Refs() {
			if !told[ref] {
				t.Errorf("nothing said about %s", ref)
			}
		}
	}
}

// mixed returns s with its lists in a random order.
func mixed(random *rand.Rand, s source.Snapshot) source.Snapshot {
	shuffle(random, s.VirtualRouters)
	shuffle(random, s.L4Services)
	shuffle(random, s.Settings)
	shuffle(random, s.Ingresses)
	shuffle(random, s.Services)
	shuffle(random, s.Secrets)
	shuffle(random, s.EndpointSlices)
	return s
}

func shuffle[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// TestOrder: the order of objects changes neither the plan nor the problems.
func TestOrder(t *testing.T) {
	s, _ := folder.Load("../docs/examples")
	want, wantProblems := planText(t, s), fmt.Sprint(second(Translate(s)))
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		s = mixed(random, s)
		if diff := cmp.Diff(want, planText(t, s)); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(wantProblems, fmt.Sprint(second(Translate(s)))); diff != "" {
			t.Fatal(diff)
		}
	}
}

func second[A, B any](_ A, b B) B { return b }
