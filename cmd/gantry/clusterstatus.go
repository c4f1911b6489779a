package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/etcd"
)

// clusterStatus is what gantry cluster status tells, also as JSON.
type clusterStatus struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	// From is the master that was asked.
	From         string         `json:"from"`
	Masters      []masterStatus `json:"masters"`
	Store        []etcd.Member  `json:"store"`
	StoreProblem string         `json:"storeProblem,omitempty"`
	Nodes        []nodeStatus   `json:"nodes"`
	NodesProblem string         `json:"nodesProblem,omitempty"`
	// Certificates are those of this server, the next to end first.
	Certificates certificates `json:"certificates"`
	// Lifetime is what leaf certificates should have.
	Lifetime metav1.Duration `json:"certificateLifetime"`
}

type masterStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Version string `json:"version,omitempty"`
	// CertificateEnds is when that of its API server does.
	CertificateEnds time.Time `json:"certificateEnds,omitzero"`
	Problem         string    `json:"problem,omitempty"`
}

type nodeStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Roles   string `json:"roles"`
	Version string `json:"version"`
	Problem string `json:"problem,omitempty"`
	// Certificates are those of its server, the next to end first, as its kubelet tells.
	Certificates       certificates `json:"certificates,omitempty"`
	CertificateProblem string       `json:"certificateProblem,omitempty"`
}

type certificate struct {
	// File is its name; of those of this server, the name of the file.
	File string    `json:"file"`
	Ends time.Time `json:"ends,omitzero"`
	// Problem is why its end cannot be told.
	Problem string `json:"problem,omitempty"`
}

type certificates []certificate

// partTimeout bounds each question.
const partTimeout = 3 * time.Second

// lookAtCluster asks all that there is to ask at the same time. What does not
// answer is part of the status and no error.
func lookAtCluster(ctx context.Context) (*clusterStatus, error) {
	var api config.APIServerConfig
	var store config.EtcdConfig
	var controllers config.ControllerManagerConfig
	for c, into := range map[config.Component]config.Completer{config.APIServer: &api, config.Etcd: &store, config.ControllerManager: &controllers} {
		if err := config.Load(c.ConfigFile(), into); err != nil {
			return nil, fmt.Errorf("this server is no master that gantry could ask: %w", err)
		}
	}
	creds, err := credentials(controllers.Client)
	s := &clusterStatus{
		Name: api.ClusterName, ID: api.ClusterID, From: store.Name, Masters: make([]masterStatus, len(controllers.Client.Servers)),
		Lifetime: controllers.Certificates.Lifetime,
	}
	var wg sync.WaitGroup
	for i, address := range controllers.Client.Servers {
		wg.Go(func() {
			if err != nil {
				ip, _, _ := net.SplitHostPort(address)
				s.Masters[i] = masterStatus{Address: ip, Problem: err.Error()}
				return
			}
			s.Masters[i] = askMaster(ctx, address, creds)
		})
	}
	wg.Go(func() {
		c := api.Etcd
		c.Endpoints = storeEndpoints(store, controllers.Client.Servers)
		var err error
		if s.Store, err = etcd.Members(ctx, c); err != nil {
			s.StoreProblem = err.Error()
		}
		askHealth(ctx, s.Store, creds)
	})
	wg.Go(func() {
		var err error
		if s.Nodes, err = nodes(ctx, controllers.Client); err != nil {
			s.NodesProblem = err.Error()
		}
		askKubelets(ctx, s.Nodes, api.Kubelet)
	})
	s.Certificates = ownCertificates(config.PKIDir)
	wg.Wait()
	s.nameMasters(store)
	return s, nil
}

// credentials are those with which a component asks API servers, whatever address
// they have.
func credentials(c config.APIClient) (*tls.Config, error) {
	ca, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.CertFile, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", c.CAFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{own}, ServerName: config.APIServerName}, nil
}

// askHealth has the members that do not answer say why, by their health addresses: one
// that must not start serves nobody, and knows the reason.
func askHealth(ctx context.Context, store []etcd.Member, creds *tls.Config) {
	if creds == nil {
		return // who has none is told so by the masters
	}
	var wg sync.WaitGroup
	for i := range store {
		if m := &store[i]; m.Problem != "" {
			wg.Go(func() {
				if why := notReady(ctx, m.Address, creds); why != "" {
					m.Problem = why
				}
			})
		}
	}
	wg.Wait()
}

// notReady is why the etcd of a server says that it is not ready; empty when it does not.
func notReady(ctx context.Context, address string, creds *tls.Config) string {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	creds = creds.Clone()
	creds.ServerName = "" // it is known by its address
	client := http.Client{Transport: &http.Transport{TLSClientConfig: creds, DisableKeepAlives: true}}
	_, port, err := net.SplitHostPort(config.Etcd.HealthAddress())
	if err != nil {
		return ""
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(address, port)+"/readyz", nil)
	if err != nil {
		return ""
	}
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		return ""
	}
	return strings.TrimSpace(string(body))
}

// storeEndpoints are the member beside us, and those beside the other API servers.
func storeEndpoints(c config.EtcdConfig, servers []string) []string {
	port := strconv.Itoa(cmp.Or(c.ClientPort, config.EtcdClientPort))
	out := []string{"https://" + net.JoinHostPort("127.0.0.1", port)}
	for _, address := range servers {
		if ip, _, err := net.SplitHostPort(address); err == nil && ip != c.Host {
			out = append(out, "https://"+net.JoinHostPort(ip, port))
		}
	}
	return out
}

// nameMasters gives the API servers, which are known by address, their nodes' names.
func (s *clusterStatus) nameMasters(store config.EtcdConfig) {
	names := map[string]string{store.Host: store.Name}
	for name, peer := range store.InitialCluster {
		if u, err := url.Parse(peer); err == nil {
			names[u.Hostname()] = name
		}
	}
	for _, m := range s.Store {
		names[m.Address] = m.Name
	}
	for _, n := range s.Nodes {
		names[n.Address] = n.Name
	}
	for i, m := range s.Masters {
		s.Masters[i].Name = cmp.Or(names[m.Address], m.Address)
	}
	slices.SortFunc(s.Masters, func(a, b masterStatus) int { return cmp.Compare(a.Name, b.Name) })
}

// askMaster asks one API server, and no other, whether it serves and what it is.
func askMaster(ctx context.Context, address string, creds *tls.Config) masterStatus {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	ip, _, _ := net.SplitHostPort(address)
	m := masterStatus{Address: ip}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: creds, DisableKeepAlives: true}}
	get := func(path string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		m.CertificateEnds = resp.TLS.PeerCertificates[0].NotAfter
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s says %s: %s", path, resp.Status, strings.TrimSpace(string(body)))
		}
		return body, err
	}
	if _, err := get("/readyz"); err != nil {
		m.Problem = err.Error()
	}
	if body, err := get("/version"); err == nil {
		var v struct{ GitVersion string }
		if json.Unmarshal(body, &v) == nil {
			m.Version = v.GitVersion
		}
	}
	return m
}

// nodes asks whichever API server answers.
func nodes(ctx context.Context, c config.APIClient) ([]nodeStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	api, err := apiClient(c, config.ControllerManager)
	if err != nil {
		return nil, err
	}
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("no API server tells the nodes: %w", err)
	}
	out := make([]nodeStatus, 0, len(list.Items))
	for _, n := range list.Items {
		out = append(out, nodeOf(&n))
	}
	return out, nil
}

const rolePrefix = "node-role.kubernetes.io/"

func nodeOf(n *corev1.Node) nodeStatus {
	s := nodeStatus{Name: n.Name, Version: n.Status.NodeInfo.KubeletVersion, Problem: "its kubelet has not reported"}
	var roles []string
	for label := range n.Labels {
		if role, ok := strings.CutPrefix(label, rolePrefix); ok {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	s.Roles = cmp.Or(strings.Join(roles, ","), "worker")
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			s.Address = a.Address
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		s.Problem = ""
		if c.Status != corev1.ConditionTrue {
			s.Problem = strings.TrimSpace(fmt.Sprintf("Ready is %s: %s %s", c.Status, c.Reason, c.Message))
		}
	}
	if n.Spec.Unschedulable && s.Problem == "" {
		s.Problem = "Ready, cordoned"
	}
	return s
}

// ownCertificates reads when those of this server end.
func ownCertificates(dir string) certificates {
	var files []string
	for _, pattern := range []string{"*.crt", "*.pem"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern)) // the pattern is right
		files = append(files, found...)
	}
	out := make(certificates, 0, len(files))
	for _, f := range files {
		c := certificate{File: filepath.Base(f)}
		var err error
		if c.Ends, err = endOf(f); err != nil {
			c.Problem = err.Error()
		}
		out = append(out, c)
	}
	out.sort()
	return out
}

func endOf(file string) (time.Time, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return time.Time{}, fmt.Errorf("%s is not PEM", file)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", file, err)
	}
	return c.NotAfter, nil
}
