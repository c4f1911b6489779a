// Package manifest reads pods from files as the API server would take them: with its
// defaults, its validation, and nothing in them that refers to the API, which the pods of
// a node's disk cannot use. It is for kubelets, whose static pods nobody else looks at.
//
// It may import the kinds, and of runtime/apiserver admission, which knows what refers
// to the API.
package manifest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/runtime/apiserver/admission"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// Reader reads pods.
type Reader struct{ pod kind.Kind }

// NewReader returns a reader.
func NewReader() Reader { return Reader{pod: core.Pod()} }

// Pod reads the one pod of a file in YAML or JSON. complete is called on it before it is
// validated; a field that pods do not have is an error.
func (r Reader) Pod(data []byte, complete func(*corev1.Pod)) (*corev1.Pod, error) {
	doc, err := onlyDocument(data)
	if err != nil {
		return nil, err
	}
	p := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(doc, p); err != nil {
		return nil, err
	}
	switch {
	case p.APIVersion != "v1" || p.Kind != "Pod":
		return nil, fmt.Errorf("invalid pod: it is a %s of %s", p.Kind, p.APIVersion)
	case p.Name == "":
		return nil, errors.New("invalid pod: name is needed for the pod")
	}
	p.Status = corev1.PodStatus{}
	r.pod.Default(p)
	r.pod.Drop(p)
	complete(p)
	errs := validation.ValidateObjectMeta(&p.ObjectMeta, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	if errs = append(errs, r.pod.ErrorsOnCreate(context.Background(), p)...); len(errs) > 0 {
		return nil, fmt.Errorf("invalid pod: %w", errs.ToAggregate())
	}
	what, err := admission.ReferencedByPod(p)
	if err != nil {
		return nil, err
	}
	if what != "" {
		return nil, fmt.Errorf("static pods may not reference %s", what)
	}
	p.TypeMeta = metav1.TypeMeta{}
	return p, nil
}

// onlyDocument is the one document of a file that is not empty.
func onlyDocument(data []byte) (only []byte, err error) {
	for docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var content any
		if err := yaml.Unmarshal(doc, &content); err != nil {
			return nil, err
		}
		switch {
		case content == nil:
		case only != nil:
			return nil, errors.New("there is more than one object in the file: a file holds one pod")
		default:
			only = doc
		}
	}
	if only == nil {
		return nil, errors.New("the file is empty")
	}
	return only, nil
}
