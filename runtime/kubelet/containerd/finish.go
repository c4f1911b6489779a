package containerd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/kubelet/cm"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podlog"
)

// maxMessage bounds a termination message, as upstream does: container labels
// and pod status are no place for more.
const maxMessage = 2 << 10

// finish records the end of a container: it deletes the task, so that a pod's
// shim ends with its last container, and writes the exit into the labels, which
// is what is left of a container. It is done once, also when asked at the same
// time by the event and by a list.
func (a *Adapter) finish(ctx context.Context, id string) (container.Container, error) {
	v, err, _ := a.finishing.Do(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		return a.record(ctx, id)
	})
	if err != nil {
		return container.Container{}, err
	}
	return v.(container.Container), nil
}

func (a *Adapter) record(ctx context.Context, id string) (container.Container, error) {
	c, err := a.cl.LoadContainer(ctx, id)
	if err != nil {
		return container.Container{}, err
	}
	info, err := c.Info(ctx, containerd.WithoutRefreshedMetadata)
	if err != nil {
		return container.Container{}, err
	}
	v, err := fromLabels(id, info.CreatedAt, info.Labels)
	if err != nil || v.Exit != nil {
		return v, err
	}
	// Without a task nobody knows how it ended: the server lost power, or the shim
	// was killed.
	exit := &container.Exit{Code: 255, At: time.Now(), Reason: container.ReasonUnknown}
	task, err := c.Task(ctx, nil)
	switch {
	case err == nil:
		st, err := task.Status(ctx)
		if err != nil && !errdefs.IsNotFound(err) {
			return v, fmt.Errorf("read the exit of container %s: %w", id, err)
		}
		if err == nil && (st.Status == containerd.Running || st.Status == containerd.Created && a.isStarting(id)) {
			return v, nil
		}
		if err == nil && st.Status == containerd.Stopped {
			exit = &container.Exit{Code: int32(st.ExitStatus), At: st.ExitTime}
		}
		// The cgroup is there until the task is deleted.
		exit.OOMKilled = cm.OOMKilled(info.Labels[labelCgroup])
		err = a.shims.deleting(v.Pod.UID, func() error {
			_, err := task.Delete(ctx, containerd.WithProcessKill)
			return err
		})
		if err != nil && !errdefs.IsNotFound(err) {
			return v, fmt.Errorf("delete the task of container %s: %w", id, err)
		}
	case !errdefs.IsNotFound(err) || a.isStarting(id):
		return v, err
	}
	a.endIO(id)
	exit.Message = message(ctx, info.Labels, exit.Code)
	data, err := json.Marshal(exit)
	if err != nil {
		return v, err
	}
	if _, err := c.SetLabels(ctx, map[string]string{labelExit: string(data)}); err != nil {
		return v, fmt.Errorf("record the exit of container %s: %w", id, err)
	}
	v.Exit, v.State = exit, container.StateExited
	return v, nil
}

// message reads what the container left in its termination message file, or the
// end of its log when it failed and asked for that.
func message(ctx context.Context, labels map[string]string, code int32) string {
	// The container may put anything where the file was. A link would lead to a file of the
	// server, and a FIFO would wait for its writer.
	if f, err := os.OpenFile(labels[labelMessage], os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err == nil {
		defer f.Close()
		if b, err := io.ReadAll(io.LimitReader(f, maxMessage)); err == nil && len(b) > 0 {
			return string(bytes.ToValidUTF8(b, nil))
		}
	}
	if labels[labelFromLog] != "true" || code == 0 {
		return ""
	}
	var out bytes.Buffer
	if err := podlog.Read(ctx, labels[labelLogPath], podlog.Options{Tail: 80}, &out, func() bool { return true }); err != nil {
		return ""
	}
	b := out.Bytes()
	return string(bytes.ToValidUTF8(b[max(0, len(b)-maxMessage):], nil))
}
