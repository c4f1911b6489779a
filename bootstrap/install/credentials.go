package install

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"path"
	"slices"
	"time"

	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// Authorities are what a cluster's trust hangs on. Only masters hold the keys;
// bootstrap has them in memory while it signs, and never anywhere else.
type Authorities struct {
	CA         *pki.Authority
	EtcdCA     *pki.Authority
	FrontProxy *pki.Authority
	// The key pair that signs service account tokens.
	ServiceAccountKey    []byte
	ServiceAccountPublic []byte
	// Encryption is the file that says which keys encrypt Secrets. Masters of a cluster
	// that is older than it have none until it is decided.
	Encryption []byte
}

// NewAuthorities makes those of a new cluster.
func NewAuthorities(clusterName string, now time.Time) (Authorities, error) {
	var a Authorities
	var errs [4]error
	a.CA, errs[0] = pki.NewAuthority(clusterName+"-ca", now)
	a.EtcdCA, errs[1] = pki.NewAuthority(clusterName+"-etcd-ca", now)
	a.FrontProxy, errs[2] = pki.NewAuthority(clusterName+"-front-proxy-ca", now)
	a.ServiceAccountKey, a.ServiceAccountPublic, errs[3] = pki.NewServiceAccountKey()
	return a, errors.Join(errs[:]...)
}

// AuthorityFiles are the paths that [ReadAuthorities] needs of a master, and that of the
// keys that encrypt, which it takes where they are.
func AuthorityFiles() []string { return append(authorityPaths(), config.EncryptionConfigFile) }

func authorityPaths() []string {
	out := []string{config.ServiceAccountKeyFile, config.ServiceAccountPublicKeyFile}
	for _, c := range []config.Credential{config.CA, config.EtcdCA, config.FrontProxyCA} {
		out = append(out, c.CertFile(), c.KeyFile())
	}
	return out
}

// ErrNoAuthorities is returned when a host does not hold a complete set.
var ErrNoAuthorities = errors.New("the host does not hold the cluster's authorities")

// ReadAuthorities finds the authorities among a master's files.
func ReadAuthorities(files map[string][]byte) (Authorities, error) {
	for _, path := range authorityPaths() {
		if len(files[path]) == 0 {
			return Authorities{}, fmt.Errorf("%w: %s is missing", ErrNoAuthorities, path)
		}
	}
	load := func(c config.Credential) (*pki.Authority, error) {
		return pki.LoadAuthority(pki.Pair{Cert: files[c.CertFile()], Key: files[c.KeyFile()]})
	}
	a := Authorities{
		ServiceAccountKey:    files[config.ServiceAccountKeyFile],
		ServiceAccountPublic: files[config.ServiceAccountPublicKeyFile],
		Encryption:           files[config.EncryptionConfigFile],
	}
	var errs [3]error
	a.CA, errs[0] = load(config.CA)
	a.EtcdCA, errs[1] = load(config.EtcdCA)
	a.FrontProxy, errs[2] = load(config.FrontProxyCA)
	return a, errors.Join(errs[:]...)
}

// leaf is one certificate of a node: who signs it and what it says.
type leaf struct {
	credential config.Credential
	authority  *pki.Authority
	request    pki.Request
}

// netIPs are addresses as certificates hold them.
func netIPs(ips addr.IPs) []net.IP {
	out := make([]net.IP, len(ips))
	for i, ip := range ips {
		out[i] = ip.AsSlice()
	}
	return out
}

// leaves are the certificates of a node. A worker has those of its own processes
// only: what a stolen worker can do is what its node can do.
func leaves(n spec.Node, a Authorities) []leaf {
	dns := []string{"localhost", n.Host.Name} // spec refuses names of nodes that mean something else here
	ips := append([]net.IP{net.IPv4(127, 0, 0, 1)}, netIPs(n.Host.IPs())...)
	request := func(commonName string, organizations ...string) pki.Request {
		return pki.Request{CommonName: commonName, Organizations: organizations, DNSNames: dns, IPs: ips, Lifetime: n.CertificateLifetime}
	}
	out := []leaf{
		{config.KubeletCert, a.CA, request(config.NodeUserPrefix+n.Host.Name, config.NodesGroup)},
		{config.ProxyCert, a.CA, request(config.ProxyUser)},
		{config.DNSCert, a.CA, request(config.DNSUser)},
	}
	if !n.Master {
		return out
	}
	server := request("kube-apiserver")
	server.DNSNames = append(slices.Clone(dns), config.APIServerName, "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc."+n.Network.DNSDomain)
	server.IPs = append(slices.Clone(ips), netIPs(n.Network.ServiceIPs(1))...)
	return append(out,
		leaf{config.APIServerCert, a.CA, server},
		leaf{config.APIServerKubeletCert, a.CA, request(config.APIServerKubeletUser)},
		leaf{config.APIServerEtcdCert, a.EtcdCA, request("kube-apiserver-etcd-client")},
		leaf{config.FrontProxyCert, a.FrontProxy, request(config.FrontProxyUser)},
		leaf{config.EtcdServerCert, a.EtcdCA, request(n.Host.Name)},
		leaf{config.EtcdPeerCert, a.EtcdCA, request(n.Host.Name)},
		// Not of the etcd authority: a certificate for looking at health must not
		// open etcd. To the API it means who may ask for reviews.
		leaf{config.EtcdHealthCert, a.CA, request(config.EtcdHealthUser)},
		leaf{config.ControllerCert, a.CA, request(config.ControllerManagerUser)},
		leaf{config.SchedulerCert, a.CA, request(config.SchedulerUser)},
	)
}

// CredentialFiles are the paths of everything below PKIDir that a node has, and of a
// master's keys that encrypt.
func CredentialFiles(n spec.Node) []string {
	var out []string
	for _, l := range leaves(n, Authorities{}) {
		out = append(out, l.credential.CertFile()) // with its key
	}
	if n.Master {
		return append(out, AuthorityFiles()...)
	}
	return append(out, config.CA.CertFile())
}

// formerCredentials are the files of leaf certificates of earlier releases, which had
// their keys in files of their own.
func formerCredentials(n spec.Node) []string {
	var out []string
	for _, l := range leaves(n, Authorities{}) {
		base := path.Join(config.PKIDir, string(l.credential))
		out = append(out, base+".crt", base+".key")
	}
	return out
}

// Credentials returns the files that [CredentialFiles] names. Certificates on the host that still
// fit are kept, so that a second run changes nothing. Without the authorities'
// keys, one that does not fit is an error that says why. Those that begin no later
// than after do not fit; zero is none.
func Credentials(n spec.Node, a Authorities, onHost map[string][]byte, now, after time.Time) ([]step.File, error) {
	var files []step.File
	var errs []error
	for _, l := range leaves(n, a) {
		l.request.After = after
		data := onHost[l.credential.CertFile()]
		if unfit := l.authority.Fits(pki.Pair{Cert: data, Key: data}, l.request, now); unfit != nil {
			pair, err := l.authority.Issue(l.request, now)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", l.credential.CertFile(), unfit))
				continue
			}
			data = pair.Bundle()
		}
		files = append(files, step.File{Path: l.credential.CertFile(), Data: data, Mode: keyMode(l.credential)})
	}
	files = append(files, step.File{Path: config.CA.CertFile(), Data: a.CA.Cert, Mode: 0o644})
	if n.Master {
		files = append(files, authorityFiles(a)...)
	}
	return files, errors.Join(errs...)
}

// keyMode is that of a key that root alone reads, but for that of cluster DNS, which is
// not root: its group is given the file before it starts.
func keyMode(c config.Credential) fs.FileMode {
	if c == config.DNSCert {
		return 0o640
	}
	return 0o600
}

func authorityFiles(a Authorities) []step.File {
	private := map[string][]byte{
		config.ServiceAccountKeyFile:  a.ServiceAccountKey,
		config.CA.KeyFile():           a.CA.Key,
		config.EtcdCA.KeyFile():       a.EtcdCA.Key,
		config.FrontProxyCA.KeyFile(): a.FrontProxy.Key,
	}
	files := []step.File{
		{Path: config.ServiceAccountPublicKeyFile, Data: a.ServiceAccountPublic, Mode: 0o644},
		{Path: config.EtcdCA.CertFile(), Data: a.EtcdCA.Cert, Mode: 0o644},
		{Path: config.FrontProxyCA.CertFile(), Data: a.FrontProxy.Cert, Mode: 0o644},
	}
	for _, path := range slices.Sorted(maps.Keys(private)) {
		files = append(files, step.File{Path: path, Data: private[path], Mode: 0o600})
	}
	if len(a.Encryption) > 0 {
		files = append(files, encryptionFile(a.Encryption))
	}
	return files
}
