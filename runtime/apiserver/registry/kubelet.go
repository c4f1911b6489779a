package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
)

// Kubelets finds the kubelet of a node, and reaches it as the API server.
type Kubelets struct {
	nodes     *Store
	transport http.RoundTripper
}

// NewKubelets returns the way to kubelets. transport verifies their certificates
// and presents ours; it must speak HTTP/1.1, since streams are upgraded.
func NewKubelets(nodes *Store, transport http.RoundTripper) *Kubelets {
	return &Kubelets{nodes, transport}
}

// URL is the address of a path of a node's kubelet.
func (k *Kubelets) URL(ctx context.Context, node, path string, query url.Values) (*url.URL, error) {
	n, err := Read[*corev1.Node](ctx, k.nodes, "", node, Cached)
	if errors.IsNotFound(err) {
		n, err = Read[*corev1.Node](ctx, k.nodes, "", node, Fresh)
	}
	if err != nil {
		return nil, err
	}
	host := ""
	for _, t := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP, corev1.NodeHostName} {
		for _, a := range n.Status.Addresses {
			if a.Type == t && host == "" {
				host = a.Address
			}
		}
	}
	port := n.Status.DaemonEndpoints.KubeletEndpoint.Port
	if host == "" || port == 0 {
		return nil, errors.NewServiceUnavailable(fmt.Sprintf("node %s has not reported an address and a kubelet port", node))
	}
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(int(port))), Path: path, RawQuery: query.Encode()}, nil
}
