package runtimeclass

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/runtime/durable"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// handlerFile is in a pod's directory. A pod keeps its handler, whatever becomes of its
// class.
const handlerFile = "runtime-handler"

// Manager finds the handlers of pods.
type Manager struct {
	API    kubernetes.Interface
	Layout poddir.Layout
	// Disk is what a pod's handler is kept on, nil for the host's.
	Disk durable.FS
	// Handlers are those that the container runtime has.
	Handlers []string
}

// Handler is that of the pod's class; "" of a pod that names none. A class that does not
// exist, or whose handler this node does not have, is an error: the pod must not be run
// by another runtime. The pod's directory must exist.
func (m Manager) Handler(ctx context.Context, pod *corev1.Pod) (string, error) {
	if pod.Spec.RuntimeClassName == nil || *pod.Spec.RuntimeClassName == "" {
		return "", nil
	}
	file := filepath.Join(m.Layout.Pod(string(pod.UID)), handlerFile)
	known, err := os.ReadFile(file)
	if err == nil && len(known) > 0 {
		return string(known), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the runtime handler of the pod: %w", err)
	}
	class, err := m.API.NodeV1().RuntimeClasses().Get(ctx, *pod.Spec.RuntimeClassName, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("look up the RuntimeClass %q: %w", *pod.Spec.RuntimeClassName, err)
	}
	if !slices.Contains(m.Handlers, class.Handler) {
		return "", fmt.Errorf("failed to get sandbox runtime: no runtime for %q is configured", class.Handler)
	}
	if err := durable.WriteFile(m.Disk, file, []byte(class.Handler), durable.Attributes{Mode: 0o600}); err != nil {
		return "", fmt.Errorf("keep the runtime handler of the pod: %w", err)
	}
	return class.Handler, nil
}
