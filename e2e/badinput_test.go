//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/gantry-run/gantry/runtime/apiserver/fuzz"
	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// badInputSeed is of the run, which ends after badInputTime at the latest.
	badInputSeed, badInputTime = 12, 5 * time.Minute
	// badInputGrowth is what an API server's anonymous memory may grow by, in MiB, in the
	// second half of requests that store nothing. What is live does not grow (as
	// TestBadInputIsRefused measures); the collector lets garbage come and go.
	badInputGrowth = 40
)

// TestBadInputIsRefusedByACluster sends what no client should to a cluster, without
// having it store anything.
func TestBadInputIsRefusedByACluster(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-badinput", []string{"master-1"}, []string{"worker-1"}, nil)
	step := f.stepper(t)
	step("apply", f.Apply)
	step(fmt.Sprintf("what no client should send is refused (seed %d)", badInputSeed), f.refusesBadInput)
	step("the cluster goes on", soon(f.NodesReady))
}

func (f *Flow) refusesBadInput(ctx context.Context) error {
	if _, err := f.Cluster.Kubectl(ctx, "create", "namespace", "fuzz"); err != nil {
		return err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", f.Cluster.Kubeconfig)
	if err != nil {
		return err
	}
	cfg.QPS = -1
	fuzzer, err := fuzz.New(cfg, "fuzz", badInputSeed)
	if err != nil {
		return err
	}
	timed, cancel := context.WithTimeout(ctx, badInputTime)
	defer cancel()
	var held [2]float64
	for i := range held {
		if errs := fuzzer.Round(timed, true); timed.Err() == nil && len(errs) > 0 {
			return errors.Join(errs...)
		}
		if held[i], err = f.anonymousOf(ctx, config.APIServer); err != nil {
			return err
		}
	}
	if grown := held[1] - held[0]; grown > badInputGrowth {
		err = fmt.Errorf("the API server held %.0f MiB, and %.0f after as many requests again", held[0], held[1])
	}
	if fuzzer.Codes[200] < 50 || fuzzer.Codes[400] < 100 || fuzzer.Codes[422] < 100 {
		err = errors.Join(err, fmt.Errorf("it did not get far: %v", fuzzer.Codes))
	}
	return errors.Join(err, f.noPanics(ctx))
}

// anonymousOf is what a process of the first master holds, in MiB.
func (f *Flow) anonymousOf(ctx context.Context, c config.Component) (float64, error) {
	h, err := f.Lab.Host(f.Masters[0])
	if err != nil {
		return 0, err
	}
	out, err := h.Run(ctx, "awk '/^Anonymous:/ {print $2}' /proc/$(systemctl show -p MainPID --value "+c.Unit()+")/smaps_rollup")
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return kib / 1024, err
}

// noPanics finds none in the journals of the masters' processes, nor that one was
// started again.
func (f *Flow) noPanics(ctx context.Context) error {
	var errs []error
	for _, name := range f.Masters {
		h, err := f.Lab.Host(name)
		if err != nil {
			return err
		}
		for _, c := range config.MasterComponents() {
			out, err := h.Run(ctx, "systemctl show -p NRestarts --value "+c.Unit()+"; journalctl -o cat -u "+c.Unit()+" | grep -i panic | head -n 3 || true")
			if err != nil {
				return err
			}
			if restarts, panics, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); restarts != "0" || panics != "" {
				errs = append(errs, fmt.Errorf("%s on %s was started again %s times: %s", c, name, restarts, panics))
			}
		}
	}
	return errors.Join(errs...)
}
