package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

func TestWhatIsDialled(t *testing.T) {
	for host, want := range map[string]bool{
		"10.0.0.1": true, "192.0.2.1": true, "fd00::1": true, "2001:db8::1": true,
		"127.0.0.1": false, "127.1.2.3": false, "::1": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false,
		"169.254.169.254": false, "fe80::1": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "::ffff:169.254.1.1": false,
		"localhost": false,
	} {
		if err := globalUnicast(t.Context(), host); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestStreamsAreCreated(t *testing.T) {
	var asked authorizer.Attributes
	by := map[string]authorizer.AuthorizerFunc{
		"allowed": func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
			asked = a
			return authorizer.DecisionAllow, "", nil
		},
		"refused": func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return authorizer.DecisionNoOpinion, "because", nil
		},
		"away": func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return authorizer.DecisionNoOpinion, "", errors.New("no answer")
		},
	}
	request := func(verb string) context.Context {
		ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "reader"})
		return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
			IsResourceRequest: true, Verb: verb, APIVersion: "v1", Namespace: "n", Resource: "pods", Subresource: "exec", Name: "p"})
	}
	for _, tt := range []struct {
		verb, who string
		want      func(error) bool
	}{
		{"create", "refused", func(err error) bool { return err == nil }}, // it was asked for already
		{"get", "allowed", func(err error) bool { return err == nil }},
		{"get", "refused", apierrors.IsForbidden},
		{"get", "away", apierrors.IsInternalError},
	} {
		if err := mayCreate(request(tt.verb), by[tt.who]); !tt.want(err) {
			t.Errorf("%s, %s: %v", tt.verb, tt.who, err)
		}
	}
	if asked.GetVerb() != "create" || asked.GetResource() != "pods" || asked.GetSubresource() != "exec" || asked.GetNamespace() != "n" || asked.GetName() != "p" || asked.GetUser().GetName() != "reader" {
		t.Errorf("asked %+v", asked)
	}
	if err := mayCreate(request("get"), by["refused"]); !strings.Contains(err.Error(), `User "reader" cannot create resource "pods/exec"`) {
		t.Errorf("told %v", err)
	}
	if err := mayCreate(t.Context(), by["allowed"]); !apierrors.IsInternalError(err) {
		t.Errorf("without a request: %v", err)
	}
}

// The kubelet is asked by this server, which may do all: whose request it is counts here.
func TestSessionsThroughANodeAreCreated(t *testing.T) {
	proxy := NewNodeProxy(nil, dialer{}, nil, authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetVerb() != "create" || a.GetResource() != "nodes" || a.GetSubresource() != "proxy" || a.GetName() != "n" {
			t.Errorf("asked %+v", a)
		}
		return authorizer.DecisionNoOpinion, "because", nil
	}))
	proxy.target = func(context.Context, string) (*url.URL, http.RoundTripper, error) {
		return &url.URL{Scheme: "https", Host: "192.0.2.1:10250", Path: "/"}, nil, nil
	}
	for path, refused := range map[string]bool{
		"exec/ns/p/c": true, "/exec/ns/p/c": true, "//exec/ns/p/c": true, "pods/../exec/ns/p/c": true, "attach/ns/p/c": true, "portForward/ns/p": true, "run/ns/p/c": true, "exec": true, "exec/": true,
		"": false, "/": false, "pods": false, "metrics/exec": false, "executed": false, "logs/run": false,
	} {
		for verb, refused := range map[string]bool{"get": refused, "update": refused, "create": false} {
			ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "reader"})
			ctx = genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{IsResourceRequest: true, Verb: verb, APIVersion: "v1", Resource: "nodes", Subresource: "proxy", Name: "n"})
			_, err := proxy.Connect(ctx, "n", &corev1.NodeProxyOptions{Path: path}, nil)
			if refused != apierrors.IsForbidden(err) || !refused && err != nil {
				t.Errorf("%s %q: %v", verb, path, err)
			}
		}
	}
}

func TestPortsOfPodsAndServices(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{}, {Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9090}}}}}}
	for port, want := range map[string]string{"": "8080", "web": "8080", "metrics": "9090", "1234": "1234"} {
		if got := podPort(pod, port); got != want {
			t.Errorf("pod's %q: %s", port, got)
		}
	}
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "web", Port: 80}, {Name: "metrics", Port: 90}}}}
	for port, want := range map[string]string{"": "", "web": "web", "80": "web", "90": "metrics", "other": "other"} {
		if got, err := servicePort(svc, port); got != want || err != nil {
			t.Errorf("service's %q: %s, %v", port, got, err)
		}
	}
	if _, err := servicePort(svc, "81"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("a port that is none: %v", err)
	}
	list := &discoveryv1.EndpointSliceList{Items: []discoveryv1.EndpointSlice{
		{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{discoveryv1.LabelServiceName: "s"}}}, {ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: map[string]string{discoveryv1.LabelServiceName: "t"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "c"}},
	}}
	if got := slicesOf(list, "s"); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("slices %v", got)
	}
}
