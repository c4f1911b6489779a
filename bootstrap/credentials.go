package bootstrap

import (
	"context"
	"time"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Credentials are a client certificate of a cluster, for a while.
type Credentials struct {
	Kubeconfig []byte
	Server     string
	CA         []byte
	pki.Pair
	Expires time.Time
}

// Kubeconfig signs a client certificate that ends after ttl.
func (e *Engine) Kubeconfig(ctx context.Context, c spec.Connection, user string, groups []string, ttl time.Duration) (Credentials, error) {
	a, err := access.Reach(ctx, e.access(), c)
	if err != nil {
		return Credentials{}, err
	}
	defer a.Close()
	pair, err := a.Trust.CA.Issue(pki.Request{CommonName: user, Organizations: groups, Lifetime: ttl}, e.Now())
	if err != nil {
		return Credentials{}, err
	}
	expires, err := pki.Expiry(pair.Cert)
	if err != nil {
		return Credentials{}, err
	}
	server := "https://" + c.Servers(a.Source)[0]
	all := map[string]string{}
	for _, h := range c.Masters {
		all[h.Name] = "https://" + access.APIAddress(h)
	}
	kubeconfig, err := pki.Kubeconfig(c.ClusterName, user, server, all, a.Trust.CA.Cert, pair)
	return Credentials{Kubeconfig: kubeconfig, Server: server, CA: a.Trust.CA.Cert, Pair: pair, Expires: expires}, err
}
