package containerspec

import (
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
)

// serviceEnv is how a Service is told by variables, the form that Docker links
// once had.
func serviceEnv(s *corev1.Service) [][2]string {
	prefix := strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
	out := [][2]string{{prefix + "_SERVICE_HOST", s.Spec.ClusterIP}}
	for i, p := range s.Spec.Ports {
		port := strconv.Itoa(int(p.Port))
		if i == 0 {
			out = append(out, [2]string{prefix + "_SERVICE_PORT", port})
		}
		if p.Name != "" {
			out = append(out, [2]string{prefix + "_SERVICE_PORT_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")), port})
		}
	}
	for i, p := range s.Spec.Ports {
		proto := strings.ToLower(string(p.Protocol))
		if proto == "" {
			proto = "tcp"
		}
		port := strconv.Itoa(int(p.Port))
		url := proto + "://" + net.JoinHostPort(s.Spec.ClusterIP, port)
		if i == 0 {
			out = append(out, [2]string{prefix + "_PORT", url})
		}
		key := prefix + "_PORT_" + port + "_" + strings.ToUpper(proto)
		out = append(out, [2]string{key, url}, [2]string{key + "_PROTO", proto}, [2]string{key + "_PORT", port}, [2]string{key + "_ADDR", s.Spec.ClusterIP})
	}
	return out
}

// servicesFor are the Services that a pod's environment names: the API's own, and with
// links those of its namespace.
func servicesFor(lister corelisters.ServiceLister, namespace string, links bool) ([]*corev1.Service, error) {
	var out []*corev1.Service
	add := func(s *corev1.Service) {
		if s != nil && s.Spec.ClusterIP != "" && s.Spec.ClusterIP != corev1.ClusterIPNone {
			out = append(out, s)
		}
	}
	api, err := lister.Services(metav1.NamespaceDefault).Get("kubernetes")
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	add(api)
	if !links {
		return out, nil
	}
	all, err := lister.Services(namespace).List(labels.Everything())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *corev1.Service) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range all {
		if s != api {
			add(s)
		}
	}
	return out, nil
}
