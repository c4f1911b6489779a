package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig renders a kubeconfig. Its current context is named as the cluster and
// goes to server. A client of a kubeconfig knows one server only; for when that one
// is down there is a context <cluster>-<master> for each of masters, by name.
func Kubeconfig(cluster, user, server string, masters map[string]string, caCert []byte, p Pair) ([]byte, error) {
	entry := user + "@" + cluster
	c := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{cluster: {Server: server, CertificateAuthorityData: caCert}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{entry: {ClientCertificateData: p.Cert, ClientKeyData: p.Key}},
		Contexts:       map[string]*clientcmdapi.Context{cluster: {Cluster: cluster, AuthInfo: entry}},
		CurrentContext: cluster,
	}
	for name, server := range masters {
		name = cluster + "-" + name
		c.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: caCert}
		c.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: entry}
	}
	data, err := clientcmd.Write(c)
	if err != nil {
		return nil, fmt.Errorf("render the kubeconfig of %s: %w", cluster, err)
	}
	return data, nil
}
