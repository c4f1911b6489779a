package registry

import (
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// NewScheme returns a scheme for the table. The published v1 types are the hub:
// each is registered a second time under the version __internal, which the
// generic registry insists on, so that conversion is setting a name.
func NewScheme(table []kind.Kind) (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(s); err != nil {
		return nil, err
	}
	versions := map[schema.GroupVersion]bool{
		authenticationv1.SchemeGroupVersion: true,
		authorizationv1.SchemeGroupVersion:  true,
		policyv1.SchemeGroupVersion:         true,
	}
	for _, k := range table {
		versions[k.GVK.GroupVersion()] = true
	}
	for gv := range versions {
		if err := s.SetVersionPriority(gv); err != nil {
			return nil, err
		}
		if gv == eventsv1.SchemeGroupVersion {
			if err := addEventsHub(s); err != nil {
				return nil, err
			}
			continue
		}
		if err := addHub(s, gv); err != nil {
			return nil, err
		}
	}
	// Scale is served by resources of every group, always as autoscaling/v1.
	s.AddKnownTypeWithName(autoscalingv1.SchemeGroupVersion.WithKind("Scale").GroupKind().WithVersion(runtime.APIVersionInternal), &autoscalingv1.Scale{})
	for _, k := range table {
		if err := addKind(s, k); err != nil {
			return nil, err
		}
	}
	return s, addConnectOptions(s)
}

func addHub(s *runtime.Scheme, gv schema.GroupVersion) error {
	for name := range clientgoscheme.Scheme.KnownTypes(gv) {
		// The options of requests belong to no group: they have their own hub.
		if name == "WatchEvent" || strings.HasSuffix(name, "Options") && !strings.HasPrefix(name, "Pod") && !strings.HasPrefix(name, "Node") && !strings.HasPrefix(name, "Service") {
			continue
		}
		obj, err := clientgoscheme.Scheme.New(gv.WithKind(name))
		if err != nil {
			return err
		}
		s.AddKnownTypeWithName(schema.GroupVersionKind{Group: gv.Group, Version: runtime.APIVersionInternal, Kind: name}, obj)
	}
	return nil
}

// addKind registers defaulting and the fields that may be selected.
func addKind(s *runtime.Scheme, k kind.Kind) error {
	obj, err := s.New(k.GVK)
	if err != nil {
		return fmt.Errorf("kind %s: %w", k.GVK, err)
	}
	if k.Default != nil {
		s.AddTypeDefaultingFunc(obj, func(o any) { k.Default(o.(runtime.Object)) })
	}
	selectable := map[string]bool{"metadata.name": true, "metadata.namespace": true}
	if k.Fields != nil {
		for f := range k.Fields(obj) {
			selectable[f] = true
		}
	}
	return s.AddFieldLabelConversionFunc(k.GVK, func(label, value string) (string, string, error) {
		if !selectable[label] {
			return "", "", fmt.Errorf("field label %q is not supported for %s", label, k.GVK.Kind)
		}
		return label, value, nil
	})
}
