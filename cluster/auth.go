package cluster

import (
	"bytes"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"harmony/api/v1alpha1"
	"harmony/source"
	"harmony/vrrp"
)

const authField = "spec.authentication"

// authentication returns how a router's adverts are authenticated, with the
// secrets themselves. No problem shows any of a secret but its length.
func (t *translator) authentication(r *source.Report, spec v1alpha1.VirtualRouterSpec) vrrp.Auth {
	a := spec.Authentication
	types := map[v1alpha1.AuthenticationType]vrrp.AuthType{
		v1alpha1.AuthenticationNone:     vrrp.AuthNone,
		v1alpha1.AuthenticationPassword: vrrp.AuthPassword,
		v1alpha1.AuthenticationAH:       vrrp.AuthAH,
		v1alpha1.AuthenticationHMAC:     vrrp.AuthHMAC,
	}
	kind, ok := types[a.Type]
	if !ok {
		r.Refuse(authField+".type", source.CodeInvalid, "must be None, Password, AH or HMAC, not %s", source.Quote(string(a.Type)))
		return vrrp.Auth{}
	}
	belongs(r, a)
	switch kind {
	case vrrp.AuthPassword, vrrp.AuthAH:
		if spec.Version != 2 {
			r.Refuse(authField+".type", source.CodeInvalid, "%s is for version 2 only: type HMAC is for both", a.Type)
		}
		return vrrp.Auth{Type: kind, Keys: t.password(r, a)}
	case vrrp.AuthHMAC:
		return t.signature(r, a)
	}
	return vrrp.Auth{}
}

// belongs refuses what is of another type.
func belongs(r *source.Report, a v1alpha1.Authentication) {
	password := a.Type == v1alpha1.AuthenticationPassword || a.Type == v1alpha1.AuthenticationAH
	if a.Password != nil && !password {
		r.Refuse(authField+".password", source.CodeInvalid, "belongs to types Password and AH: set %s.type, or remove it", authField)
	}
	if a.Type == v1alpha1.AuthenticationHMAC {
		return
	}
	for field, there := range map[string]bool{
		"keys": len(a.Keys) > 0, "activeKey": a.ActiveKey != nil, "mode": a.Mode != "", "window": a.Window != nil,
	} {
		if there {
			r.Refuse(authField+"."+field, source.CodeInvalid, "belongs to type HMAC: set %s.type, or remove it", authField)
		}
	}
}

// password is the one key of types Password and AH.
func (t *translator) password(r *source.Report, a v1alpha1.Authentication) []vrrp.AuthKey {
	const field = authField + ".password"
	if a.Password == nil {
		r.Refuse(field, source.CodeRequired, "type %s needs it", a.Type)
		return nil
	}
	secret := t.secret(r, field, *a.Password)
	switch printable := bytes.IndexFunc(secret, func(c rune) bool { return c <= ' ' || c > '~' }) < 0; {
	case secret == nil:
		return nil
	case lineBreak(r, field, secret):
	case !printable:
		r.Refuse(field, source.CodeInvalid, "a password is made of printable ASCII characters, which all implementations can be given")
	case len(secret) < 1 || len(secret) > 8:
		r.Refuse(field, source.CodeOutOfRange, "a password has 1 to 8 characters, this one %d: of a longer one keepalived uses the first 8, so give those", len(secret))
	}
	return []vrrp.AuthKey{{Secret: vrrp.NewSecret(secret)}}
}

// signature is what type HMAC asks for.
func (t *translator) signature(r *source.Report, a v1alpha1.Authentication) vrrp.Auth {
	auth := vrrp.Auth{Type: vrrp.AuthHMAC, Mode: authMode(r, a.Mode)}
	if len(a.Keys) == 0 {
		r.Refuse(authField+".keys", source.CodeRequired, "type HMAC needs at least one key")
		return auth
	}
	for i, k := range a.Keys {
		field := source.At(authField+".keys", i)
		r.Range(field+".id", k.ID, 0, 255)
		if slices.ContainsFunc(a.Keys[:i], func(o v1alpha1.AuthenticationKey) bool { return o.ID == k.ID }) {
			r.Refuse(field+".id", source.CodeDuplicate, "%d is there already", k.ID)
		}
		secret := t.secret(r, field+".secret", k.Secret)
		if secret != nil && !lineBreak(r, field+".secret", secret) && (len(secret) < 32 || len(secret) > 64) {
			r.Refuse(field+".secret", source.CodeOutOfRange, "a key has 32 to 64 bytes, this one %d", len(secret))
		}
		auth.Keys = append(auth.Keys, vrrp.AuthKey{ID: uint8(k.ID), Secret: vrrp.NewSecret(secret)})
	}
	auth.Active = uint8(*a.ActiveKey)
	if !slices.ContainsFunc(a.Keys, func(k v1alpha1.AuthenticationKey) bool { return k.ID == *a.ActiveKey }) {
		r.Refuse(authField+".activeKey", source.CodeNotFound, "there is no key %d", *a.ActiveKey)
	}
	if a.Window != nil && duration(r, authField+".window", a.Window, time.Second, 300*time.Second, time.Second) {
		auth.Window = a.Window.Duration
	}
	return auth
}

func authMode(r *source.Report, mode v1alpha1.AuthenticationMode) vrrp.AuthMode {
	modes := map[v1alpha1.AuthenticationMode]vrrp.AuthMode{
		v1alpha1.AuthenticationEnforce:     vrrp.Enforce,
		v1alpha1.AuthenticationPermissive:  vrrp.Permissive,
		v1alpha1.AuthenticationReceiveOnly: vrrp.ReceiveOnly,
	}
	m, ok := modes[mode]
	if !ok {
		r.Refuse(authField+".mode", source.CodeInvalid, "must be Enforce, Permissive or ReceiveOnly, not %s", source.Quote(string(mode)))
	}
	return m
}

// secret returns the bytes that ref names, or nil with the object refused.
func (t *translator) secret(r *source.Report, field string, ref v1alpha1.SecretKeyReference) []byte {
	r.Grammar(field+".namespace", ref.Namespace, validation.IsDNS1123Label)
	r.Grammar(field+".name", ref.Name, validation.IsDNS1123Subdomain)
	i := slices.IndexFunc(t.Secrets, func(s corev1.Secret) bool { return s.Namespace == ref.Namespace && s.Name == ref.Name })
	if i < 0 {
		r.Refuse(field, source.CodeNotFound, "there is no usable Secret %s/%s", ref.Namespace, ref.Name)
		return nil
	}
	value, ok := t.Secrets[i].Data[ref.Key]
	switch {
	case !ok:
		r.Refuse(field+".key", source.CodeNotFound, "Secret %s/%s has no entry %s", ref.Namespace, ref.Name, source.Quote(ref.Key))
	case len(value) == 0:
		r.Refuse(field+".key", source.CodeOutOfRange, "entry %s of Secret %s/%s is empty", source.Quote(ref.Key), ref.Namespace, ref.Name)
		return nil
	}
	return value
}

// lineBreak refuses text that ends with a line break: an editor or echo has put
// it there, and the peers do not have it.
func lineBreak(r *source.Report, field string, secret []byte) bool {
	text := strings.TrimRight(string(secret), "\r\n")
	if len(text) == len(secret) || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
		return false
	}
	r.Refuse(field, source.CodeInvalid, "ends with a line break, probably by mistake: leave it out (printf instead of echo, |- instead of | in YAML)")
	return true
}

// secretsOf lists the Secrets that a router names.
func secretsOf(vr *v1alpha1.VirtualRouter) []source.Ref {
	a := vr.Spec.WithDefaults().Authentication
	var refs []source.Ref
	if a.Password != nil {
		refs = append(refs, source.Ref{Kind: source.KindSecret, Namespace: a.Password.Namespace, Name: a.Password.Name})
	}
	for _, k := range a.Keys {
		refs = append(refs, source.Ref{Kind: source.KindSecret, Namespace: k.Secret.Namespace, Name: k.Secret.Name})
	}
	return refs
}
