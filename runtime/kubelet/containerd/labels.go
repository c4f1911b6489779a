package containerd

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Labels of containers. The first four are those of every Kubernetes runtime, so
// that tools which read them work here too.
const (
	labelPodName      = "io.kubernetes.pod.name"
	labelPodNamespace = "io.kubernetes.pod.namespace"
	labelPodUID       = "io.kubernetes.pod.uid"
	labelContainer    = "io.kubernetes.container.name"

	labelSandbox   = "gantry.run/sandbox"
	labelRestarts  = "gantry.run/restarts"
	labelBackoff   = "gantry.run/backoff"
	labelSpecHash  = "gantry.run/spec-hash"
	labelResources = "gantry.run/resources"
	labelImage     = "gantry.run/image"
	labelImageID   = "gantry.run/image-id"
	labelLogPath   = "gantry.run/log-path"
	labelIO        = "gantry.run/io" // of standard input: "once" when it ends with the first session
	labelMessage   = "gantry.run/termination-message"
	labelFromLog   = "gantry.run/message-from-log"
	labelCgroup    = "gantry.run/cgroup"
	labelExit      = "gantry.run/exit"
)

func toLabels(s container.Spec) map[string]string {
	return map[string]string{
		labelPodName: s.Pod.Name, labelPodNamespace: s.Pod.Namespace, labelPodUID: s.Pod.UID, labelContainer: s.Name,
		labelSandbox: s.Sandbox, labelRestarts: strconv.Itoa(int(s.Restarts)), labelBackoff: s.Backoff.String(),
		labelSpecHash: s.SpecHash, labelResources: s.Actuated.String(), labelImage: s.Image, labelImageID: s.ImageID, labelLogPath: s.LogPath,
		labelIO: stdinLabel(s), labelMessage: s.TerminationMessage,
		labelFromLog: strconv.FormatBool(s.MessageFromLog), labelCgroup: s.Resources.CgroupPath,
	}
}

const stdinOnce = "once"

func stdinLabel(s container.Spec) string {
	if s.Stdin && s.StdinOnce {
		return stdinOnce
	}
	return ""
}

func fromLabels(id string, created time.Time, l map[string]string) (container.Container, error) {
	restarts, err := strconv.ParseInt(l[labelRestarts], 10, 32)
	if err != nil {
		return container.Container{}, fmt.Errorf("container %s has the label %s=%q: %w", id, labelRestarts, l[labelRestarts], err)
	}
	backoff, err := time.ParseDuration(l[labelBackoff])
	if err != nil {
		return container.Container{}, fmt.Errorf("container %s has the label %s=%q: %w", id, labelBackoff, l[labelBackoff], err)
	}
	c := container.Container{
		ID:   id,
		Pod:  container.PodRef{Namespace: l[labelPodNamespace], Name: l[labelPodName], UID: l[labelPodUID]},
		Name: l[labelContainer], Sandbox: l[labelSandbox], Restarts: int32(restarts), Backoff: backoff,
		SpecHash: l[labelSpecHash], Actuated: container.ParseCompute(l[labelResources]), Image: l[labelImage], ImageID: l[labelImageID], LogPath: l[labelLogPath],
		StartedAt: created,
	}
	if exit := l[labelExit]; exit != "" {
		c.Exit, c.State = &container.Exit{}, container.StateExited
		if err := json.Unmarshal([]byte(exit), c.Exit); err != nil {
			return container.Container{}, fmt.Errorf("container %s has the label %s=%q: %w", id, labelExit, exit, err)
		}
	}
	return c, nil
}
