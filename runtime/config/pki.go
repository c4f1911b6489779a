package config

import (
	"path"
	"time"
)

// Credential names a certificate and its key below [PKIDir]. An authority has a file
// of each; a leaf has both in one, so that it is replaced in one step.
type Credential string

// The credentials of a cluster. The first three are authorities: their keys are
// on masters only. All leaf certificates are good for serving and for dialling,
// so that a process serves its health address with the one it has.
const (
	// CA signs every API identity and every serving certificate.
	CA Credential = "ca"
	// EtcdCA signs what may reach etcd, and nothing else.
	EtcdCA Credential = "etcd-ca"
	// FrontProxyCA signs the aggregator's identity.
	FrontProxyCA Credential = "front-proxy-ca"

	APIServerCert        Credential = "apiserver"
	APIServerKubeletCert Credential = "apiserver-kubelet-client"
	APIServerEtcdCert    Credential = "apiserver-etcd-client"
	FrontProxyCert       Credential = "front-proxy-client"
	EtcdServerCert       Credential = "etcd-server"
	EtcdPeerCert         Credential = "etcd-peer"
	EtcdHealthCert       Credential = "etcd-health"
	ControllerCert       Credential = "controller-manager"
	SchedulerCert        Credential = "scheduler"
	KubeletCert          Credential = "kubelet"
	ProxyCert            Credential = "proxy"
	DNSCert              Credential = "dns"
)

// Authorities are those that sign.
func Authorities() []Credential { return []Credential{CA, EtcdCA, FrontProxyCA} }

// WorkerLeaves are the leaf certificates of every node.
func WorkerLeaves() []Credential { return []Credential{KubeletCert, ProxyCert, DNSCert} }

// MasterLeaves are those that a master has besides.
func MasterLeaves() []Credential {
	return []Credential{
		APIServerCert, APIServerKubeletCert, APIServerEtcdCert, FrontProxyCert,
		EtcdServerCert, EtcdPeerCert, EtcdHealthCert, ControllerCert, SchedulerCert,
	}
}

// IsAuthority reports whether it is one that signs.
func (c Credential) IsAuthority() bool { return c == CA || c == EtcdCA || c == FrontProxyCA }

// CertFile is the path of the PEM certificate on a server.
func (c Credential) CertFile() string {
	if c.IsAuthority() {
		return path.Join(PKIDir, string(c)+".crt")
	}
	return c.file()
}

// KeyFile is the path of the PEM private key (PKCS #8, mode 0600).
func (c Credential) KeyFile() string {
	if c.IsAuthority() {
		return path.Join(PKIDir, string(c)+".key")
	}
	return c.file()
}

func (c Credential) file() string { return path.Join(PKIDir, string(c)+".pem") }

// KeyPair is both files, as the processes' configuration names them.
func (c Credential) KeyPair() KeyPair { return KeyPair{CertFile: c.CertFile(), KeyFile: c.KeyFile()} }

// Lifetimes of leaf certificates: what they have by default, and the least, which is
// the least that a CertificateSigningRequest may ask for.
const (
	DefaultCertificateLifetime = 365 * 24 * time.Hour
	MinCertificateLifetime     = 10 * time.Minute
)

// ClockSkew is how long before its signing a certificate begins to be valid: how far
// behind the clock may be of whoever verifies it. All that sign for nodes keep to it,
// since a revocation refuses what begins before a time.
const ClockSkew = 10 * time.Minute

// RenewalSigner is the signer of CertificateSigningRequests by which a node renews its
// certificates: it signs for who has a certificate the same one again, with a new key.
const RenewalSigner = "gantry.run/renewal"

// The key pair that signs service account tokens. Both are PEM; the private key
// is on masters only and the same on all of them.
const (
	ServiceAccountKeyFile       = PKIDir + "/sa.key"
	ServiceAccountPublicKeyFile = PKIDir + "/sa.pub"
)

// EncryptionDir holds nothing but EncryptionConfigFile (mode 0700, on masters only). A
// directory can be hidden from a process: a mount over a file is gone once the file is
// replaced by a rename.
const EncryptionDir = ConfigDir + "/encryption"

// EncryptionConfigFile holds the keys of what is encrypted in etcd
// (EncryptionConfiguration, YAML, mode 0600). It is on masters only, the same on all of
// them; the key that encrypts is the first of the first provider.
const EncryptionConfigFile = EncryptionDir + "/encryption.yaml"

// API identities: the common names that the RBAC bootstrap policy and the node
// authorizer know. They are upstream's where upstream has one.
const (
	// APIServerName is a name in every API server's certificate, so that a client
	// verifies any master under one name.
	APIServerName = "kubernetes"

	MastersGroup   = "system:masters"
	NodesGroup     = "system:nodes"
	NodeUserPrefix = "system:node:"

	ControllerManagerUser = "system:kube-controller-manager"
	SchedulerUser         = "system:kube-scheduler"
	ProxyUser             = "system:kube-proxy"
	DNSUser               = "system:kube-dns"
	// APIServerKubeletUser is who the API server is to kubelets, and in its own
	// RBAC (ClusterRole system:kubelet-api-admin).
	APIServerKubeletUser = "kube-apiserver-kubelet-client"
	// EtcdHealthUser is who a member is to the API server, and to nobody else.
	EtcdHealthUser = "gantry-etcd-health"
	// FrontProxyUser is the only common name trusted in request headers.
	FrontProxyUser = "front-proxy-client"
)

// ReleasedNodesConfigMap, in kube-system, names the nodes that were taken out of the
// cluster. Its data is a time in RFC 3339 for each:
// certificates of the node that begin no later are refused. A node that comes back
// is given others.
const ReleasedNodesConfigMap = "gantry-released-nodes"
