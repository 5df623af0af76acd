package ingress

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"harmony/nginxconf"
	"harmony/source"
)

// pair is the outcome of looking at one Secret.
type pair struct {
	tls    nginxconf.TLS // without a certificate when reason is set
	leaf   *x509.Certificate
	code   string
	reason string
}

// certificates gives the hosts of q their certificates, and their redirects. A
// host whose Secret cannot be used gets TLS without a certificate: its
// handshakes are refused, and nobody else's certificate is shown.
func (b *builder) certificates(q *request) {
	wanted := make([][]string, len(q.ing.Spec.TLS)) // hosts by entry
	for _, host := range hosts(q.ing) {
		b.site(host).Redirect = b.site(host).Redirect || q.force
		if i := entryFor(q.ing.Spec.TLS, host); i >= 0 && !slices.Contains(wanted[i], host) {
			wanted[i] = append(wanted[i], host)
		}
	}
	for i, t := range q.ing.Spec.TLS {
		field := source.At("spec.tls", i)
		if len(wanted[i]) == 0 {
			q.Warn(field+".hosts", source.CodeNotHonoured, "without effect: no rule has one of these hosts")
			continue
		}
		secret := source.Ref{Kind: source.KindSecret, Namespace: q.Object.Namespace, Name: t.SecretName}
		b.judge(q, field+".secretName", secret, b.serve(q, field, secret, wanted[i]))
	}
}

// serve gives hosts the certificate in secret and returns those that have it
// now; of the others, the Ingress before says which one they have.
func (b *builder) serve(q *request, field string, secret source.Ref, hosts []string) (served []string) {
	for _, host := range hosts {
		st := b.site(host)
		if st.TLS == nil {
			tls := b.pair(secret).tls
			st.TLS, st.secret, st.owner = &tls, secret, q.Object
			st.Redirect = st.Redirect || !q.keepHTTP
		}
		if st.secret == secret {
			served = append(served, host)
			continue
		}
		q.Error(field, source.CodeConflict, "host %s has its certificate from %s by %s, which goes before", source.Quote(host), st.secret, st.owner)
	}
	return served
}

// judge says what is wrong with the secret that served have.
func (b *builder) judge(q *request, field string, secret source.Ref, served []string) {
	if len(served) == 0 {
		return
	}
	p := b.pair(secret)
	if p.reason != "" {
		q.Error(field, p.code, "%s: TLS handshakes for %s are refused", p.reason, source.Quote(strings.Join(served, ", ")))
		return
	}
	for _, host := range served {
		if name := strings.Replace(host, "*", "any", 1); name != "" && p.leaf.VerifyHostname(name) != nil {
			q.Warn(field, source.CodeInvalid, "its certificate does not name %s: clients will not trust it", host)
		}
	}
}

// entryFor returns the entry of tls that a host belongs to, or -1: one that has
// the host itself, else one with a wildcard for it, else one without hosts.
func entryFor(tls []networkingv1.IngressTLS, host string) int {
	_, parent, _ := strings.Cut(host, ".")
	for _, want := range []string{host, "*." + parent} {
		for i, t := range tls {
			if want != "" && slices.Contains(t.Hosts, want) {
				return i
			}
		}
	}
	return slices.IndexFunc(tls, func(t networkingv1.IngressTLS) bool { return len(t.Hosts) == 0 })
}

// pair looks at a Secret, once.
func (b *builder) pair(ref source.Ref) pair {
	p, ok := b.pairs[ref]
	if !ok {
		p = b.open(ref)
		b.pairs[ref] = p
	}
	return p
}

func (b *builder) open(ref source.Ref) pair {
	if ref.Name == "" {
		return pair{code: source.CodeRequired, reason: "a Secret is needed"}
	}
	secret := b.secrets[ref]
	if secret == nil {
		return pair{code: source.CodeNotFound, reason: "there is no usable " + ref.String()}
	}
	certificate, key, err := source.KeyPair(secret)
	if bad, ok := errors.AsType[*source.KeyPairError](err); ok {
		return pair{code: source.CodeInvalid, reason: ref.String() + ": " + bad.Field + " " + bad.Reason}
	}
	block, _ := pem.Decode(certificate)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil { // KeyPair has parsed it
		return pair{code: source.CodeInvalid, reason: ref.String() + ": data[tls.crt] cannot be parsed"}
	}
	return pair{tls: nginxconf.TLS{Certificate: certificate, Key: key}, leaf: leaf}
}
