package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/bench/master"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// listedObjects are there to be listed.
	listedObjects = 5000
	// pricedObjects are created for each price.
	pricedObjects = 4000
	// watched is how long latencies are taken, without load and under it.
	watched = 15 * time.Second
)

// account is a service account, of the namespace from which the attack comes and of one
// that has no part in it.
const account, attackers, others = "bench", metav1.NamespaceDefault, metav1.NamespacePublic

// withToken is the configuration of a client with the token that a pod of a namespace has.
func withToken(ctx context.Context, m *master.Master, namespace string) (*rest.Config, error) {
	admin, err := m.Client()
	if err != nil {
		return nil, err
	}
	t, err := admin.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return m.WithToken(t.Status.Token), nil
}

// layer is what stands between a request and etcd, with its price in creates.
type layer struct {
	name   string
	enable func(dir string, c *config.APIServerConfig) error
}

func layers() []layer {
	audit := func(dir string, c *config.APIServerConfig) error {
		c.Audit.LogFile = filepath.Join(dir, "audit", "audit.log")
		return nil
	}
	encryption := func(dir string, c *config.APIServerConfig) error {
		c.EncryptionConfigFile = filepath.Join(dir, "encryption.yaml")
		key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
		return os.WriteFile(c.EncryptionConfigFile, []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"+
			"- resources: [secrets]\n  providers: [{secretbox: {keys: [{name: k, secret: "+key+"}]}}, {identity: {}}]\n"), 0o600)
	}
	fairness := func(_ string, c *config.APIServerConfig) error {
		c.DisablePriorityAndFairness = false
		return nil
	}
	return []layer{
		{"none of them", func(string, *config.APIServerConfig) error { return nil }},
		{"audit at level Metadata", audit},
		{"encryption at rest (secretbox)", encryption},
		{"priority and fairness", fairness},
		{"all of them, as clusters have it", func(dir string, c *config.APIServerConfig) error {
			return errors.Join(audit(dir, c), encryption(dir, c), fairness(dir, c))
		}},
	}
}

// hostile measures what protects the API server: its price, and what others notice of
// a pod that does its worst.
func (r *report) hostile(ctx context.Context, gantry string, b bench) error {
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, err := master.New(gantry, dir, b.profile)
	if err != nil {
		return err
	}
	defer m.Stop()
	if err := m.Start(ctx, config.Etcd); err != nil {
		return err
	}
	all := layers()
	if b.only == "siege" {
		all = all[len(all)-1:]
	}
	for i, l := range all {
		m.Stop(config.APIServer)
		var err error
		if configureErr := m.Configure(func(c *config.APIServerConfig) {
			c.DisablePriorityAndFairness = true
			err = l.enable(dir, c)
		}); errors.Join(err, configureErr) != nil {
			return errors.Join(err, configureErr)
		}
		if err := m.Start(ctx, config.APIServer); err != nil {
			return err
		}
		if i == 0 {
			if err := grant(ctx, m); err != nil {
				return err
			}
		}
		if b.only == "siege" {
			break
		}
		if err := r.price(ctx, m, l.name, i); err != nil {
			return fmt.Errorf("price of %s: %w", l.name, err)
		}
	}
	return r.siege(ctx, m) // with all layers, as the last of them left it
}

// grant gives the users what they do here.
func grant(ctx context.Context, m *master.Master) error {
	admin, err := m.Client()
	if err != nil {
		return err
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "bench"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{""}, Resources: []string{"configmaps", "secrets", "namespaces"}}}}
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "bench"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}}
	for _, name := range []string{master.Tenant, master.Neighbour} {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name})
	}
	for _, ns := range []string{attackers, others} {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: account})
		if _, err := admin.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if _, err := admin.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return err
	}
	return sleep(ctx, time.Second) // until the authorizer has seen it
}

func (r *report) price(ctx context.Context, m *master.Master, name string, round int) error {
	before, err := m.Process(config.APIServer).Usage()
	if err != nil {
		return err
	}
	latencies, took, err := byMany(ctx, func() (*client.Client, error) { return m.ClientOf(master.Tenant) }, pricedObjects, fmt.Sprintf("priced-%d", round), func(ctx context.Context, c *client.Client, name string) error {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string][]byte{"key": []byte("value")}}
		_, err := c.CoreV1().Secrets("default").Create(ctx, s, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	after, err := m.Process(config.APIServer).Usage()
	if err != nil {
		return err
	}
	r.priceRows = append(r.priceRows, fmt.Sprintf("| %s | %.0f/s, p50 %.1f ms, p99 %.1f ms | %.2f |", name, pricedObjects/took.Seconds(),
		milliseconds(percentile(latencies, 50)), milliseconds(percentile(latencies, 99)), (after.CPU-before.CPU)*1000/pricedObjects))
	fmt.Fprintln(os.Stderr, "  "+r.priceRows[len(r.priceRows)-1])
	return nil
}

// siege takes the latencies of what others do, first in quiet, then while a pod of one
// namespace attacks.
func (r *report) siege(ctx context.Context, m *master.Master) error {
	big := strings.Repeat("x", 1000)
	if _, _, err := byMany(ctx, func() (*client.Client, error) { return m.ClientOf(master.Tenant) }, listedObjects, "listed", func(ctx context.Context, c *client.Client, name string) error {
		_, err := c.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"key": big}}, metav1.CreateOptions{})
		return err
	}); err != nil {
		return err
	}
	quiet, err := watch(ctx, m)
	if err != nil {
		return err
	}
	stop, err := besiege(ctx, m)
	if err != nil {
		return err
	}
	defer stop()
	if err := sleep(ctx, 3*time.Second); err != nil { // until it is at its worst
		return err
	}
	under, err := watch(ctx, m)
	if err != nil {
		return err
	}
	for i, name := range []string{"renewal of a node's lease, p99", "read of a user, p99", "read of a pod of another namespace, in the same priority level, p99"} {
		r.hostileRows = append(r.hostileRows, fmt.Sprintf("| %s | %.1f ms | %.1f ms |", name, milliseconds(quiet.p99[i]), milliseconds(under.p99[i])))
	}
	r.hostileRows = append(r.hostileRows, fmt.Sprintf("| most memory of the API server (PSS) | %.0f MiB | %.0f MiB |", quiet.memory, under.memory))
	for _, row := range r.hostileRows {
		fmt.Fprintln(os.Stderr, "  "+row)
	}
	return nil
}

// seen is what others noticed.
type seen struct {
	p99    [3]time.Duration
	memory float64
}

// watch renews a lease and reads an object ten times a second each.
func watch(ctx context.Context, m *master.Master) (seen, error) {
	var out seen
	node, err := m.ClientOf(master.Node)
	if err != nil {
		return out, err
	}
	neighbour, err := m.ClientOf(master.Neighbour)
	if err != nil {
		return out, err
	}
	cfg, err := withToken(ctx, m, others)
	if err != nil {
		return out, err
	}
	elsewhere, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return out, err
	}
	leases := node.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	lease, err := leases.Get(ctx, master.Node, metav1.GetOptions{})
	if err != nil {
		lease, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: master.Node}}, metav1.CreateOptions{})
	}
	if err != nil {
		return out, err
	}
	var latencies [3][]time.Duration
	var errs [3]error
	var wg sync.WaitGroup
	every := func(i int, f func() error) {
		wg.Go(func() {
			for end := time.Now().Add(watched); time.Now().Before(end) && errs[i] == nil; {
				begun := time.Now()
				errs[i] = f()
				latencies[i] = append(latencies[i], time.Since(begun))
				if err := sleep(ctx, 100*time.Millisecond-time.Since(begun)); err != nil {
					errs[i] = err
				}
			}
		})
	}
	every(0, func() error {
		now := metav1.NowMicro()
		lease.Spec.RenewTime = &now
		lease, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
		return err
	})
	every(1, func() error {
		_, err := neighbour.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	every(2, func() error {
		_, err := elsewhere.CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	for end := time.Now().Add(watched); time.Now().Before(end); {
		u, err := m.Process(config.APIServer).Usage()
		if err != nil {
			return out, err
		}
		out.memory = max(out.memory, u.PSS)
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return out, err
		}
	}
	wg.Wait()
	for i := range latencies {
		out.p99[i] = percentile(latencies[i], 99)
	}
	return out, errors.Join(errs[:]...)
}
