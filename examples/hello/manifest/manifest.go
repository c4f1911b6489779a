// Package manifest is how the application of the demo and the tests is deployed: some
// replicas behind a Service. It imports nothing of ours.
package manifest

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Names of the application: of its Deployment, its Service and its pods' label, and of the
// image that its pods have.
const (
	Name     = "hello"
	Image    = "demo.gantry.run/hello:1"
	Replicas = 4
)

//go:embed hello.yaml
var hello string

const separator = "---\n"

// Hello is the manifest of the application, with what change makes of it.
func Hello(change func(*appsv1.Deployment, *corev1.Service)) (string, error) {
	var d appsv1.Deployment
	var s corev1.Service
	first, second, _ := strings.Cut(hello, separator)
	if err := errors.Join(yaml.UnmarshalStrict([]byte(first), &d), yaml.UnmarshalStrict([]byte(second), &s)); err != nil {
		return "", fmt.Errorf("read hello.yaml: %w", err)
	}
	change(&d, &s)
	deployment, err := yaml.Marshal(d)
	if err != nil {
		return "", err
	}
	service, err := yaml.Marshal(s)
	return string(deployment) + separator + string(service), err
}
