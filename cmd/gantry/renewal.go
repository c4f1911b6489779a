package main

import (
	"fmt"
	"log/slog"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/renewal"
)

// renewer keeps the certificates of this server from ending. On a master, which has the
// authorities' keys, they sign; elsewhere the controller-manager does.
func renewer(cfg config.KubeletConfig, api kubernetes.Interface, log *slog.Logger) (*renewal.Renewer, error) {
	now := clock.RealClock{}
	r := &renewal.Renewer{
		Signer:   renewal.Remote{API: api, Node: cfg.NodeName, CA: config.CA.KeyPair()},
		Lifetime: cfg.Certificates.Lifetime.Duration, Clock: now, Log: log, Expiry: renewal.NewExpiry(string(config.KubeletCert), now),
	}
	leaves := config.WorkerLeaves()
	if _, err := os.Stat(config.CA.KeyFile()); err == nil {
		leaves = append(leaves, config.MasterLeaves()...)
		local := renewal.Local{Lifetime: r.Lifetime, Clock: now}
		for _, c := range config.Authorities() {
			local.Authorities = append(local.Authorities, c.KeyPair())
		}
		r.Signer = local
	}
	for _, c := range leaves {
		leaf := renewal.Leaf{Name: string(c), File: c.CertFile()}
		if c == config.DNSCert { // cluster DNS is not root
			leaf.GroupOf = config.DNSRunDir
		}
		r.Leaves = append(r.Leaves, leaf)
	}
	if err := legacyregistry.CustomRegister(r.Expiry); err != nil {
		return nil, fmt.Errorf("register the metrics of certificates: %w", err)
	}
	return r, nil
}
