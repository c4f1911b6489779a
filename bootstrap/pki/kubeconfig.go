package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig renders a kubeconfig with one context, named as the cluster.
func Kubeconfig(cluster, user, server string, caCert []byte, p Pair) ([]byte, error) {
	entry := user + "@" + cluster
	data, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{cluster: {Server: server, CertificateAuthorityData: caCert}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{entry: {ClientCertificateData: p.Cert, ClientKeyData: p.Key}},
		Contexts:       map[string]*clientcmdapi.Context{cluster: {Cluster: cluster, AuthInfo: entry}},
		CurrentContext: cluster,
	})
	if err != nil {
		return nil, fmt.Errorf("render the kubeconfig of %s: %w", cluster, err)
	}
	return data, nil
}
