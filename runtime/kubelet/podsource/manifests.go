package podsource

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/pod"
)

// Decode reads the pod of a file. complete is called on it before it is validated.
type Decode func(data []byte, complete func(*corev1.Pod)) (*corev1.Pod, error)

// manifests reads the static pods of a directory.
type manifests struct {
	dir      string
	nodeName string
	decode   Decode
	seen     func() time.Time
}

// read returns the pods by the paths of their files, and what is wrong with the others.
// Files whose names begin with a dot, and directories, hold none.
func (m manifests) read() (pods map[string]*corev1.Pod, wrong map[string]error, err error) {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the static pods: %w", err)
	}
	pods, wrong = map[string]*corev1.Pod{}, map[string]error{}
	for _, e := range entries {
		path := filepath.Join(m.dir, e.Name())
		info, err := os.Stat(path)
		switch {
		case strings.HasPrefix(e.Name(), "."), errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && !info.Mode().IsRegular():
			err = errors.New("it is not a file")
		case err == nil:
			pods[path], err = m.readFile(path)
		}
		if err != nil {
			delete(pods, path)
			wrong[path] = err
		}
	}
	return pods, wrong, nil
}

func (m manifests) readFile(path string) (*corev1.Pod, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var failed error
	p, err := m.decode(data, func(p *corev1.Pod) { failed = m.complete(p, path) })
	return p, errors.Join(err, failed)
}

// complete makes a pod of the file one of this node's. Its UID tells what is in the file,
// and where, so that a changed file is another pod.
func (m manifests) complete(p *corev1.Pod, path string) error {
	if p.UID != "" {
		return errors.New("metadata.uid may not be set: it is made of what is in the file")
	}
	content, err := json.Marshal(p)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(fmt.Append(content, "host:", m.nodeName, "file:", path))
	p.UID = types.UID(hex.EncodeToString(sum[:16]))
	p.Name += "-" + strings.ToLower(m.nodeName)
	if p.Namespace == "" {
		p.Namespace = metav1.NamespaceDefault
	}
	p.Spec.NodeName = m.nodeName
	p.Generation = 1
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[pod.ConfigHashAnnotation] = string(p.UID)
	p.Annotations[pod.ConfigSourceAnnotation] = "file"
	p.Annotations[pod.ConfigSeenAnnotation] = m.seen().Format(time.RFC3339Nano)
	// No trouble of the node drives away what its disk wants.
	forever := corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}
	for _, t := range p.Spec.Tolerations {
		if t.MatchToleration(&forever) {
			return nil
		}
	}
	p.Spec.Tolerations = append(p.Spec.Tolerations, forever)
	return nil
}
