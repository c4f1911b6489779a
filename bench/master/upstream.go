package master

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// upstreamPrefix keeps the objects of upstream's API server from ours, in the same etcd.
const upstreamPrefix = "/upstream"

// upstreamName is that of its log file, and of its process among those of the master.
const upstreamName config.Component = "kube-apiserver"

// StartUpstream runs upstream's API server beside ours, with the same credentials and on
// the same etcd, which must have been started. binary is kube-apiserver. It is configured as
// ours is by default: the same issuer, service range, authorizers and admission plugins.
// args are added to its command line. It ends with Stop.
func (m *Master) StartUpstream(ctx context.Context, binary string, args ...string) error {
	log, err := os.Create(m.file(upstreamName, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	p := &Process{cmd: exec.Command(binary, append(upstreamFlags(m), args...)...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", binary, err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }() //nolint:errcheck // how it ended is in its log
	if err := awaitUpstream(ctx, m, p); err != nil {
		p.stop()
		return fmt.Errorf("start %s: %w (log: %s)", binary, err, tail(log.Name()))
	}
	p.Start = time.Since(start)
	m.running[upstreamName] = p
	return nil
}

func upstreamFlags(m *Master) []string {
	c := m.credentials
	issuer := "https://kubernetes.default.svc.cluster.local"
	return []string{
		"--bind-address=" + host, "--secure-port=" + strconv.Itoa(m.ports["upstream"]), "--advertise-address=" + host,
		"--tls-cert-file=" + c.api.CertFile, "--tls-private-key-file=" + c.api.KeyFile, "--client-ca-file=" + c.ca,
		"--etcd-servers=https://" + m.address("etcd-clients"), "--etcd-prefix=" + upstreamPrefix,
		"--etcd-cafile=" + c.etcdCA, "--etcd-certfile=" + c.etcdClient.CertFile, "--etcd-keyfile=" + c.etcdClient.KeyFile,
		"--service-account-issuer=" + issuer, "--service-account-signing-key-file=" + c.signingKey, "--service-account-key-file=" + c.verifyKey,
		"--service-cluster-ip-range=" + serviceCIDR,
		// Upstream publishes no loopback address as its own.
		"--endpoint-reconciler-type=none",
		"--kubelet-certificate-authority=" + c.ca, "--kubelet-client-certificate=" + c.kubelets.CertFile, "--kubelet-client-key=" + c.kubelets.KeyFile,
		"--requestheader-client-ca-file=" + c.frontCA, "--requestheader-allowed-names=" + config.FrontProxyUser,
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.front.CertFile, "--proxy-client-key-file=" + c.front.KeyFile,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true", "--enable-bootstrap-token-auth=true",
	}
}

// UpstreamAddress is host:port of upstream's API server.
func (m *Master) UpstreamAddress() string { return m.address("upstream") }

// Address is host:port of our API server.
func (m *Master) Address() string { return m.address("api") }

// AdminTLS is the TLS configuration of an administrator of both API servers.
func (m *Master) AdminTLS() (*tls.Config, error) {
	ca, err := os.ReadFile(m.credentials.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	pair, err := tls.LoadX509KeyPair(m.credentials.admin.CertFile, m.credentials.admin.KeyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: roots, ServerName: config.APIServerName, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// awaitUpstream asks for its readiness: it notifies nobody.
func awaitUpstream(ctx context.Context, m *Master, p *Process) error {
	tlsConfig, err := m.AdminTLS()
	if err != nil {
		return err
	}
	c := http.Client{Transport: &http.Transport{TLSClientConfig: tlsConfig, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}, Timeout: 2 * time.Second}
	defer c.CloseIdleConnections()
	for deadline := time.Now().Add(2 * startTime); time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return errors.New("it ended")
		case <-time.After(100 * time.Millisecond):
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+m.UpstreamAddress()+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("not ready after %s", 2*startTime)
}
