// Command demo shows Gantry at work on real (lab) servers: `demo up` goes from
// bare servers to a cluster that serves, grows and shrinks; `demo down` destroys
// it and proves the servers clean. make demo and make demo-down run it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/lab"
)

const labName = "demo"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	run := map[string]func(context.Context, e2e.Tools, string) error{"up": up, "down": down}[strings.Join(os.Args[1:], " ")]
	if run == nil {
		fmt.Fprintln(os.Stderr, "usage: demo up|down")
		os.Exit(2)
	}
	err := lab.Check()
	var tools e2e.Tools
	if err == nil {
		tools, err = e2e.FindTools(".")
	}
	if err == nil {
		err = run(ctx, tools, filepath.Join("dist", "demo"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

// chapter is one part of the story.
type chapter struct {
	title string
	tell  func(context.Context) error
}

func tell(ctx context.Context, chapters []chapter) error {
	for i, c := range chapters {
		fmt.Printf("\n\033[1m── %d. %s\033[0m\n", i+1, c.title)
		start := time.Now()
		if err := c.tell(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		fmt.Printf("   (%.1f s)\n", time.Since(start).Seconds())
	}
	return nil
}

func up(ctx context.Context, tools e2e.Tools, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var f *e2e.Flow
	return tell(ctx, []chapter{
		{"Three bare servers: sshd, systemd and nothing else", func(ctx context.Context) error {
			masters, workers := []string{"master-1"}, []string{"worker-1", "worker-2"}
			servers := lab.Options{Name: labName, Hosts: slices.Concat(masters, workers), Keep: true} // until `demo down`
			f, err = e2e.NewFlowOn(ctx, tools, "quickstart", servers, dir, masters, workers, os.Stdout)
			return err
		}},
		{"terraform apply: master and worker processes installed, nodes Ready", func(ctx context.Context) error {
			return f.Apply(ctx)
		}},
		{"An application: 4 replicas and a Service", func(ctx context.Context) error {
			if err := f.Cluster.Deploy(ctx, f.Workers...); err != nil {
				return err
			}
			return f.Cluster.Show(ctx, "get", "nodes,pods,services", "-o", "wide")
		}},
		{"The Service by DNS name, from a pod on each worker: served mostly by its own node", func(ctx context.Context) error {
			return e2e.Eventually(ctx, 20*time.Second, func(ctx context.Context) error { return f.Cluster.ServedByOwnNode(ctx, f.Workers...) })
		}},
		{"The Service by cluster IP from each server, and by node port", func(ctx context.Context) error {
			return e2e.Eventually(ctx, 20*time.Second, func(ctx context.Context) error {
				if err := f.Cluster.AnswersByClusterIP(ctx, f.Nodes()...); err != nil {
					return err
				}
				return f.Cluster.AnswersByNodePort(ctx, f.Nodes()...)
			})
		}},
		{"kubectl logs and kubectl exec", func(ctx context.Context) error {
			pods, err := f.Cluster.Pods(ctx)
			if err != nil {
				return err
			}
			if err := f.Cluster.Show(ctx, "logs", pods[0].Name, "--tail=3"); err != nil {
				return err
			}
			return f.Cluster.Show(ctx, "exec", pods[0].Name, "--", "/hello", "get", "http://localhost:8080")
		}},
		{"One more server: one more line of HCL", func(ctx context.Context) error {
			if err := f.Grow(ctx, "worker-3"); err != nil {
				return err
			}
			return f.Cluster.Show(ctx, "get", "nodes", "-o", "wide")
		}},
		{"One server less: drained, removed, wiped", func(ctx context.Context) error {
			if err := f.Cluster.ImportImage(ctx, "worker-3"); err != nil {
				return err
			}
			if err := f.Shrink(ctx, "worker-1"); err != nil {
				return err
			}
			fmt.Println("\nworker-1 has no unit, file, interface, nftables table, mount or cgroup of ours left.")
			return f.Cluster.Show(ctx, "get", "nodes,pods", "-o", "wide")
		}},
		{"Look further", func(context.Context) error {
			fmt.Printf(`
  export KUBECONFIG=%s
  kubectl get all -A                        (or: bin/gantry kubectl get all -A)
  bin/gantry-lab list                       the servers
  bin/gantry-lab run demo master-1 'systemctl list-units "gantry-*"'
  bin/gantry-lab run demo worker-2 'journalctl -u gantry-kubelet -n 20'
  %s                     the HCL; change terraform.tfvars and apply:
  cd %s && TF_CLI_CONFIG_FILE=$PWD/cli.tfrc terraform apply
  make demo-down                            destroys it and proves the servers clean
`, f.Cluster.Kubeconfig, dir, dir)
			return nil
		}},
	})
}

func down(ctx context.Context, tools e2e.Tools, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	f, err := e2e.Reopen(tools, labName, dir, os.Stdout)
	if err != nil {
		return err
	}
	return tell(ctx, []chapter{
		{"terraform destroy, and every server is clean", func(ctx context.Context) error {
			if err := f.Down(ctx); err != nil {
				return err
			}
			fmt.Println("\nNo server has a unit, file, interface, nftables table, mount or cgroup of ours left.")
			return nil
		}},
		{"The servers are switched off", func(ctx context.Context) error { return lab.Stop(ctx, labName) }},
	})
}
