//go:build lab

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// transports are kubectl's two ways to carry a session.
var transports = map[string][]string{
	"WebSocket": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true", "KUBECTL_PORT_FORWARD_WEBSOCKETS=true"},
	"SPDY":      {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false"},
}

// session prepares kubectl with an input and an environment.
func (p *pods) session(ctx context.Context, env []string, in string, args ...string) *exec.Cmd {
	argv := append(append([]string{}, p.tools.Kubectl...), "--kubeconfig", p.Cluster.Kubeconfig, "-n", podsNamespace)
	argv = append(argv, args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(in)
	return cmd
}

const targetPod = `
apiVersion: v1
kind: Pod
metadata: {name: target, namespace: pods, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: IMAGE, args: [serve], readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, timeoutSeconds: 5}}
---
apiVersion: v1
kind: Pod
metadata: {name: interactive, namespace: pods}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: IMAGE, args: [echo], stdin: true, stdinOnce: true}
`

func (p *pods) target(ctx context.Context) error {
	if err := p.apply(ctx, targetPod); err != nil {
		return err
	}
	return p.until(ctx, "target", podReady)
}

func logs(ctx context.Context, p *pods) error {
	if err := p.target(ctx); err != nil {
		return err
	}
	for range 3 {
		if _, err := p.kubectl(ctx, "exec", "target", "--", "/hello", "get", "http://localhost:8080/asked"); err != nil {
			return err
		}
	}
	err := soon(func(ctx context.Context) error { // what a container prints goes through a pipe
		out, err := p.kubectl(ctx, "logs", "target", "--tail=2")
		if err != nil || strings.Count(out, "/asked") != 2 {
			return fmt.Errorf("--tail=2 gives %q, %v", out, err)
		}
		if out, err = p.kubectl(ctx, "logs", "target", "--since=1h", "--timestamps"); err != nil || !strings.Contains(out, "Z serving on :8080") {
			return fmt.Errorf("--since=1h --timestamps gives %q, %v", out, err)
		}
		if out, err = p.kubectl(ctx, "logs", "crash", "--previous"); err != nil || !strings.Contains(out, "crashed") {
			return fmt.Errorf("--previous gives %q, %v", out, err)
		}
		return nil
	})(ctx)
	if err != nil {
		return err
	}
	if out, err := p.kubectl(ctx, "logs", "target", "--previous"); err == nil {
		return fmt.Errorf("--previous of a container that never ended gives %q", out)
	}
	// A followed log shows what is written after it was asked for.
	ctx, cancel := context.WithTimeout(ctx, patience*30*time.Second)
	defer cancel()
	follow := p.session(ctx, nil, "", "logs", "-f", "target", "--tail=0")
	stdout, err := follow.StdoutPipe()
	if err != nil {
		return err
	}
	if err := follow.Start(); err != nil {
		return err
	}
	defer follow.Wait() //nolint:errcheck // it is cut short
	defer cancel()
	seen := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		seen <- line
	}()
	return Eventually(ctx, 10*time.Second, func(ctx context.Context) error {
		if _, err := p.kubectl(ctx, "exec", "target", "--", "/hello", "get", "http://localhost:8080/later"); err != nil {
			return err
		}
		select {
		case line := <-seen:
			if !strings.Contains(line, "/later") {
				return fmt.Errorf("followed %q", line)
			}
			return nil
		case <-time.After(time.Second):
			return errors.New("nothing is followed")
		}
	})
}

func execSessions(ctx context.Context, p *pods) error {
	if err := p.target(ctx); err != nil {
		return err
	}
	for name, env := range transports {
		out, err := p.session(ctx, env, "through "+name, "exec", "-i", "target", "--", "/hello", "echo").CombinedOutput()
		if err != nil || string(out) != "through "+name {
			return fmt.Errorf("%s: exec with input gives %q, %v", name, out, err)
		}
		big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB both ways
		if out, err = p.session(ctx, env, big, "exec", "-i", "target", "--", "/hello", "echo").Output(); err != nil || string(out) != big {
			return fmt.Errorf("%s: 1 MiB comes back as %d bytes, %v", name, len(out), err)
		}
		_, err = p.session(ctx, env, "", "exec", "target", "--", "/hello", "exit", "42").Output()
		if exit := (&exec.ExitError{}); !errors.As(err, &exit) || exit.ExitCode() != 42 {
			return fmt.Errorf("%s: exit code 42 arrives as %v", name, err)
		}
		// A terminal: script gives kubectl one.
		argv := strings.Join(p.session(ctx, nil, "", "exec", "-it", "target", "--", "/hello", "env").Args, " ")
		cmd := exec.CommandContext(ctx, "script", "-qec", argv, "/dev/null")
		cmd.Env = append(os.Environ(), env...)
		if out, err = cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "TERM=xterm\r\n") {
			return fmt.Errorf("%s: exec with a terminal gives %q, %v", name, out, err)
		}
	}
	out, err := p.kubectl(ctx, "exec", "target", "--", "/not-there")
	if err == nil || !strings.Contains(err.Error(), "not-there") {
		return fmt.Errorf("exec of a missing program gives %q, %v", out, err)
	}
	return nil
}

func attachSession(ctx context.Context, p *pods) error {
	if err := p.target(ctx); err != nil {
		return err
	}
	if err := p.until(ctx, "interactive", podReady); err != nil {
		return err
	}
	out, err := p.session(ctx, nil, "typed in\n", "attach", "-i", "interactive").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "typed in\n") {
		return fmt.Errorf("attach gives %q, %v", out, err)
	}
	// Its input was for one session: the program has seen its end.
	return p.until(ctx, "interactive", func(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded })
}

func portForwards(ctx context.Context, p *pods) error {
	if err := p.target(ctx); err != nil {
		return err
	}
	for name, env := range transports {
		if err := p.portForward(ctx, env); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (p *pods) portForward(ctx context.Context, env []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience*15*time.Second)
	defer cancel()
	cmd := p.session(ctx, env, "", "port-forward", "pod/target", ":8080")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait() //nolint:errcheck // it is cut short
	defer cancel()
	line, err := bufio.NewReader(stdout).ReadString('\n') // Forwarding from 127.0.0.1:PORT -> 8080
	if err != nil {
		return err
	}
	words := strings.Fields(line)
	if len(words) < 3 {
		return fmt.Errorf("port-forward says %q", line)
	}
	for range 3 {
		res, err := http.Get("http://" + words[2] + "/forwarded") //nolint:noctx // cut by the deadline of the session
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(body), "client=127.0.0.1") {
			return fmt.Errorf("through the port: %q, %v", body, err)
		}
	}
	return nil
}

// hooksAndGrace deletes pods and looks at what they were told.
func hooksAndGrace(ctx context.Context, p *pods) error {
	dir := "/var/tmp/hooks"
	manifest := fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: hooks, namespace: pods}
spec:
  nodeName: worker-1
  terminationGracePeriodSeconds: 600
  volumes: [{name: out, hostPath: {path: %[1]s, type: DirectoryOrCreate}}]
  containers:
  - name: c
    image: IMAGE
    args: [sleep]
    volumeMounts: [{name: out, mountPath: /out}]
    lifecycle:
      postStart: {exec: {command: [/hello, write, /out/post, started]}}
      preStop: {exec: {command: [/hello, write, /out/pre, stopping]}}
---
apiVersion: v1
kind: Pod
metadata: {name: stubborn, namespace: pods}
spec:
  nodeName: worker-1
  terminationGracePeriodSeconds: 2
  containers:
  - {name: c, image: IMAGE, args: [sleep, -stubborn]}
`, dir)
	if err := p.apply(ctx, manifest); err != nil {
		return err
	}
	for _, name := range []string{"hooks", "stubborn"} {
		if err := p.until(ctx, name, podReady); err != nil {
			return err
		}
	}
	h, err := p.Lab.Host("worker-1")
	if err != nil {
		return err
	}
	// The lower bound is the grace. The upper ones leave kubectl its time: the first is below
	// the pod's grace of ten minutes, the second below that of a pod which names none (30 s).
	for pod, limits := range map[string][2]time.Duration{"hooks": {0, 5 * time.Minute}, "stubborn": {2 * time.Second, 29 * time.Second}} {
		start := time.Now()
		if _, err := p.kubectl(ctx, "delete", "pod", pod); err != nil {
			return err
		}
		if took := time.Since(start); took < limits[0] || took > limits[1] {
			return fmt.Errorf("pod %s took %s to end, want %s to %s", pod, took, limits[0], limits[1])
		}
	}
	out, err := h.Run(ctx, "cat "+filepath.Join(dir, "post")+" "+filepath.Join(dir, "pre")+"; rm -r "+dir)
	if err != nil || string(out) != "started\nstopping\n" {
		return fmt.Errorf("the hooks left %q, %v", out, err)
	}
	return nil
}
