package batch

import (
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleJob = `
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: default, uid: u-1}
spec:
  completions: 1
  template:
    spec: {restartPolicy: Never, containers: [{name: a, image: busybox}]}
`

const sampleCronJob = `
apiVersion: batch/v1
kind: CronJob
metadata: {name: often, namespace: default}
spec:
  schedule: "*/5 8-18 * jan,jul mon-fri"
  jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: a, image: busybox}]}}}}
`

func TestJobValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleJob, from, to, want)
	}
	indexed := strings.Replace(sampleJob, "completions: 1", "completionMode: Indexed\n  completions: 3\n  parallelism: 3\n  backoffLimitPerIndex: 1\n  maxFailedIndexes: 2\n  successPolicy: {rules: [{succeededCount: 1}]}", 1)
	failing := strings.Replace(sampleJob, "completions: 1", "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}, {action: FailJob, onExitCodes: {operator: In, values: [1]}}]}", 1)
	i := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, indexed, from, to, want) }
	f := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, failing, from, to, want) }
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("restart policy", "restartPolicy: Never, ", "", "spec.template.spec.restartPolicy: Required value"),
		c("selector", "  completions: 1", "  selector: {matchLabels: {a: b}}", "spec.selector: Invalid value"),
		c("own selector", "    spec: {", "    metadata: {labels: {a: b}}\n    spec: {", ""),
		c("manual selector", "  completions: 1\n  template:\n", "  manualSelector: true\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n", ""),
		c("completions", "completions: 1", "completions: -1", "spec.completions: Invalid value"),
		c("parallelism", "completions: 1", "parallelism: -1", "spec.parallelism: Invalid value"),
		c("deadline", "completions: 1", "activeDeadlineSeconds: -1", "spec.activeDeadlineSeconds: Invalid value"),
		c("backoff", "completions: 1", "backoffLimit: -1", "spec.backoffLimit: Invalid value"),
		c("ttl", "completions: 1", "ttlSecondsAfterFinished: -1", "spec.ttlSecondsAfterFinished: Invalid value"),
		c("mode", "completions: 1", "completionMode: X", "spec.completionMode: Unsupported value"),
		c("replacement", "completions: 1", "podReplacementPolicy: X", "spec.podReplacementPolicy: Unsupported value"),
		c("index limit without indexes", "completions: 1", "backoffLimitPerIndex: 1", "requires indexed completion mode"),
		c("scheduling", "completions: 1", "scheduling: {}", "spec.scheduling: Forbidden"),
		i("indexed", "", "", ""),
		i("indexed without a number", "  completions: 3\n", "", "when completion mode is Indexed"),
		i("failed indexes without a limit", "  backoffLimitPerIndex: 1\n", "", "when maxFailedIndexes is specified"),
		i("no success rules", "{rules: [{succeededCount: 1}]}", "{}", "at least one rules must be specified"),
		i("failed indexes", "maxFailedIndexes: 2", "maxFailedIndexes: -2", "spec.maxFailedIndexes: Invalid value"),
		i("no completions are many", "maxFailedIndexes: 2", "maxFailedIndexes: 3", ""),
		i("more failed than there are", "maxFailedIndexes: 2", "maxFailedIndexes: 4", "must be less than or equal to completions"),
		i("parallel", "parallelism: 3", "parallelism: 100000", ""),
		i("too parallel", "parallelism: 3", "parallelism: 100001", "spec.parallelism: Invalid value"),
		i("many", "completions: 3\n  parallelism: 3", "completions: 100001\n  parallelism: 10000", ""),
		i("many at once", "completions: 3\n  parallelism: 3", "completions: 100001\n  parallelism: 10001", "spec.parallelism: Invalid value"),
		i("as many as are not many", "completions: 3\n  parallelism: 3", "completions: 100000\n  parallelism: 10001", ""),
		i("many and failed", "completions: 3\n  parallelism: 3\n  backoffLimitPerIndex: 1\n  maxFailedIndexes: 2", "completions: 100001\n  parallelism: 3\n  backoffLimitPerIndex: 1\n  maxFailedIndexes: 10001", "used with backoff limit per index"),
		i("most failed", "completions: 3\n  parallelism: 3\n  backoffLimitPerIndex: 1\n  maxFailedIndexes: 2", "completions: 200000\n  parallelism: 3\n  backoffLimitPerIndex: 1\n  maxFailedIndexes: 100001", "must be less than or equal to 100000"),
		i("many without a limit", "completions: 3\n  parallelism: 3\n  backoffLimitPerIndex: 1\n  maxFailedIndexes: 2", "completions: 100001\n  parallelism: 3\n  backoffLimitPerIndex: 1", "spec.maxFailedIndexes: Required value"),
		i("name of the last", "name: once", "name: "+strings.Repeat("a", 62), "will not able to create pod with invalid DNS label"),
		i("longest name", "name: once", "name: "+strings.Repeat("a", 61), ""),
		i("success by indexes", "{succeededCount: 1}", "{succeededCount: 2, succeededIndexes: '0,2'}", ""),
		i("success by too many", "{succeededCount: 1}", "{succeededCount: 2, succeededIndexes: '0'}", "the number of indexes in the specified succeededIndexes field"),
		i("success by more than all", "succeededCount: 1", "succeededCount: 4", "the number of specified completions"),
		i("success by less than none", "succeededCount: 1", "succeededCount: -1", "rules[0].succeededCount: Invalid value"),
		i("success by nothing", "{succeededCount: 1}", "{}", "at least one of succeededCount or succeededIndexes must be specified"),
		i("success by no indexes", "{succeededCount: 1}", "{succeededIndexes: a}", "error parsing succeededIndexes"),
		c("success without indexes", "completions: 1", "successPolicy: {rules: [{succeededCount: 1}]}", "spec.successPolicy: Invalid value"),
		c("manager", "completions: 1", "managedBy: example.com/a", ""),
		c("no manager", "completions: 1", "managedBy: a", "spec.managedBy: Invalid value"),
		c("long manager", "completions: 1", "managedBy: example.com/"+strings.Repeat("a", 52), "spec.managedBy: Too long"),
		c("longest manager", "completions: 1", "managedBy: example.com/"+strings.Repeat("a", 51), ""),
		c("label of another job", "    spec: {", "    metadata: {labels: {controller-uid: other}}\n    spec: {", "spec.template.metadata.labels[controller-uid]: Invalid value"),
		f("failure policy", "", "", ""),
		f("replacement", "podFailurePolicy:", "podReplacementPolicy: TerminatingOrFailed\n  podFailurePolicy:", "spec.podReplacementPolicy: Unsupported value"),
		f("fails its index", "action: Ignore", "action: FailIndex", "requires the backoffLimitPerIndex to be set"),
		f("container", "operator: In", "containerName: b, operator: In", "onExitCodes.containerName: Invalid value"),
		f("its container", "operator: In", "containerName: a, operator: In", ""),
		f("success is none", "values: [1]", "values: [0, 1]", "must not be 0 for the In operator"),
		f("all but success", "operator: In, values: [1]", "operator: NotIn, values: [0, 1]", ""),
		f("code twice", "values: [1]", "values: [1, 1]", "onExitCodes.values[1]: Duplicate value"),
		f("out of order", "values: [1]", "values: [2, 1]", "must be ordered"),
		f("condition", "type: DisruptionTarget", "type: '/'", "onPodConditions[0].type: Invalid value"),
		f("status", "type: DisruptionTarget", "type: A, status: Perhaps", "onPodConditions[0].status: Unsupported value"),
		f("conditions", "{type: DisruptionTarget}", strings.TrimSuffix(strings.Repeat("{type: A}, ", 20), ", "), ""),
		f("too many conditions", "{type: DisruptionTarget}", strings.TrimSuffix(strings.Repeat("{type: A}, ", 21), ", "), "Too many: 21"),
		f("rules", "rules: [", "rules: ["+strings.Repeat("{action: Count, onPodConditions: [{type: A}]}, ", 18), ""),
		f("too many rules", "rules: [", "rules: ["+strings.Repeat("{action: Count, onPodConditions: [{type: A}]}, ", 19), "Too many: 21"),
		f("failure policy and restarts", "restartPolicy: Never", "restartPolicy: OnFailure", "only \"Never\" is supported when podFailurePolicy is specified"),
		f("action", "action: Ignore", "action: Cry", "rules[0].action: Unsupported value"),
		f("both", "onExitCodes: {", "onPodConditions: [{type: A}], onExitCodes: {", "specifying both OnExitCodes and OnPodConditions is not supported"),
		f("neither", ", onExitCodes: {operator: In, values: [1]}", "", "specifying one of OnExitCodes and OnPodConditions is required"),
		f("operator", "operator: In", "operator: Like", "onExitCodes.operator: Unsupported value"),
		f("no codes", "values: [1]", "values: []", "at least one value is required"),
	})
	// stored is a job as creating it leaves it.
	stored := func(c kindtest.Case) kindtest.Case {
		c.Manifest = strings.Replace(c.Manifest, "spec:\n", "spec:\n  selector: {matchLabels: {batch.kubernetes.io/controller-uid: u-1}}\n", 1)
		c.Manifest = strings.Replace(c.Manifest, "    spec: {", "    metadata: {labels: {batch.kubernetes.io/controller-uid: u-1}}\n    spec: {", 1)
		return c
	}
	updates := []kindtest.Case{
		c("nothing", "", "", ""),
		c("completions", "completions: 1", "completions: 2", "spec.completions: Invalid value"),
		c("parallelism", "completions: 1", "completions: 1\n  parallelism: 4", ""),
		c("template", "image: busybox", "image: other", "spec.template: Invalid value"),
		c("mode", "completions: 1", "completions: 1\n  completionMode: Indexed", "spec.completionMode: Invalid value"),
		c("manager", "completions: 1", "completions: 1\n  managedBy: example.com/a", "spec.managedBy: Invalid value"),
		i("as it was", "", "", ""),
		i("elastic", "completions: 3\n  parallelism: 3", "completions: 5\n  parallelism: 5", ""),
		i("completions alone", "completions: 3", "completions: 5", "spec.completions: Invalid value"),
		i("limit", "backoffLimitPerIndex: 1", "backoffLimitPerIndex: 2", "spec.backoffLimitPerIndex: Invalid value"),
		i("success", "succeededCount: 1", "succeededCount: 2", "spec.successPolicy: Invalid value"),
		f("failure policy", "action: Ignore", "action: Count", "spec.podFailurePolicy: Invalid value"),
		kindtest.Change("where a job that waits runs", strings.Replace(sampleJob, "completions: 1", "suspend: true", 1), "spec: {restart", "spec: {nodeSelector: {a: b}, tolerations: [{operator: Exists}], schedulingGates: [{name: a}], restart", ""),
		kindtest.Change("what a job that waits runs", strings.Replace(sampleJob, "completions: 1", "suspend: true", 1), "image: busybox", "image: other", "spec.template.spec: Invalid value"),
		kindtest.Change("what a job that waits asks for", strings.Replace(sampleJob, "completions: 1", "suspend: true", 1), "image: busybox", "image: busybox, resources: {requests: {cpu: 1m}}", ""),
		kindtest.Change("where a job runs that waits again", strings.Replace(sampleJob, "completions: 1", "suspend: true", 1)+"status: {startTime: '2026-01-01T00:00:00Z', conditions: [{type: Suspended, status: 'True'}]}", "spec: {restart", "spec: {nodeSelector: {a: b}, restart", ""),
		kindtest.Change("where a job runs that still has pods", strings.Replace(sampleJob, "completions: 1", "suspend: true", 1)+"status: {active: 1}", "spec: {restart", "spec: {nodeSelector: {a: b}, restart", "spec.template: Invalid value"),
		kindtest.Change("what a job that runs asks for", sampleJob, "image: busybox", "image: busybox, resources: {requests: {cpu: 1m}}", "spec.template: Invalid value"),
		kindtest.Change("near which node", strings.Replace(sampleJob, "completions: 1", "suspend: true", 1), "spec: {restart", "spec: {affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}, restart", ""),
		kindtest.Change("near which pods", strings.Replace(sampleJob, "completions: 1", "suspend: true", 1), "spec: {restart", "spec: {affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a, labelSelector: {}}]}}, restart", "spec.template.spec: Invalid value"),
		kindtest.Change("where a job that was started runs", strings.Replace(sampleJob, "completions: 1", "suspend: true", 1)+"status: {startTime: '2026-01-01T00:00:00Z'}", "spec: {restart", "spec: {nodeSelector: {a: b}, restart", "spec.template: Invalid value"),
	}
	for n := range updates {
		updates[n] = stored(updates[n])
	}
	kindtest.Update(t, Kinds(), updates)
}

func TestCronJobValidation(t *testing.T) {
	c := func(name, schedule, want string) kindtest.Case {
		return kindtest.Change(name, sampleCronJob, `"*/5 8-18 * jan,jul mon-fri"`, `"`+schedule+`"`, want)
	}
	o := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleCronJob, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("every", "@every 90s", ""), c("every what", "@every now", "failed to parse duration"), c("word", "@daily", ""), c("no word", "@often", "unrecognized descriptor"),
		c("fields", "*/5 * * *", "expected exactly 5 fields"), c("range", "* 18-8 * * *", "beyond end of range"), c("range of one", "* 8-8 * * *", ""), c("minute", "60 * * * *", "above maximum (59)"),
		c("last minute", "59 23 31 12 6", ""), c("day 0", "0 0 0 1 0", "below minimum (1)"), c("month", "0 0 1 13 0", "above maximum (12)"), c("step", "*/0 * * * *", "step of range should be a positive number"),
		c("step of one", "*/1 * * * *", ""), c("step of a range", "1-9/2 * * * *", ""), c("no number", "a * * * *", "failed to parse int"), c("end", "1-b * * * *", "failed to parse int"), c("?", "0 0 ? * ?", ""),
		c("names in capitals", "0 0 1 JAN SUN", ""), c("none", "", "spec.schedule: Required value"), c("zone in the schedule", "TZ=UTC * * * * *", "use timeZone field instead"),
		o("zone", "jobTemplate:", "timeZone: Europe/Berlin\n  jobTemplate:", ""), o("no zone", "jobTemplate:", "timeZone: Nowhere/Else\n  jobTemplate:", "spec.timeZone: Invalid value"),
		o("empty zone", "jobTemplate:", "timeZone: ''\n  jobTemplate:", "timeZone must be nil or non-empty string"), o("here", "jobTemplate:", "timeZone: local\n  jobTemplate:", "must be an explicit time zone"),
		o("name", "name: often", "name: "+strings.Repeat("a", 53), "must be no more than 52 characters"), o("longest name", "name: often", "name: "+strings.Repeat("a", 52), ""),
		o("deadline", "jobTemplate:", "startingDeadlineSeconds: -1\n  jobTemplate:", "spec.startingDeadlineSeconds: Invalid value"),
		o("concurrency", "jobTemplate:", "concurrencyPolicy: X\n  jobTemplate:", "spec.concurrencyPolicy: Unsupported value"),
		o("history", "jobTemplate:", "successfulJobsHistoryLimit: -1\n  jobTemplate:", "spec.successfulJobsHistoryLimit: Invalid value"),
		o("failed history", "jobTemplate:", "failedJobsHistoryLimit: -1\n  jobTemplate:", "spec.failedJobsHistoryLimit: Invalid value"),
		o("manual selector", "{spec: {template", "{spec: {manualSelector: true, template", "spec.jobTemplate.spec.manualSelector: Unsupported value"),
		o("selector", "{spec: {template", "{spec: {selector: {matchLabels: {a: b}}, template", "spec.jobTemplate.spec.selector: Invalid value"),
		c("what the parser does not survive", "TZ=0", "spec.schedule: Invalid value"),
		o("a part of a zone", "jobTemplate:", "timeZone: Europe/../UTC\n  jobTemplate:", "unknown time zone Europe/../UTC"),
		o("a zone with a sign", "jobTemplate:", "timeZone: -UTC\n  jobTemplate:", "unknown time zone -UTC"),
		o("a long part of a zone", "jobTemplate:", "timeZone: Aaaaaaaaaaaaaaa\n  jobTemplate:", "unknown time zone A"),
		o("job", "restartPolicy: OnFailure", "restartPolicy: Always", "spec.jobTemplate.spec.template.spec.restartPolicy: Required value"),
	})
}

func TestCells(t *testing.T) {
	job := func(status string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {parallelism: 2, template: {spec: {containers: [{name: a, image: b}]}}}\nstatus: " + status
	}
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "cron job", Manifest: sampleCronJob, Want: "often | */5 8-18 * jan,jul mon-fri | <none> | False | 0 | <none> | <unknown> | (a) | (busybox) | (<none>)"},
		{Name: "job", Manifest: `
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {containers: [{name: a, image: b}]}}}
status: {succeeded: 1, startTime: "2026-01-01T11:00:00Z", completionTime: "2026-01-01T11:00:20Z", conditions: [{type: Complete, status: "True"}]}
`, Want: "once | Complete | 1/1 | 20s | <unknown> | (a) | (b) | (<none>)"},
		{Name: "queue", Manifest: job("{succeeded: 1, startTime: '2026-01-01T11:00:00Z'}"), Want: "j | Running | 1/1 of 2 | 60m | <unknown> | (a) | (b) | (<none>)"},
		{Name: "failed", Manifest: job("{conditions: [{type: Failed, status: 'True'}]}"), Want: "j | Failed | 0/1 of 2 |  | <unknown> | (a) | (b) | (<none>)"},
		{Name: "suspended", Manifest: job("{conditions: [{type: Complete, status: 'False'}, {type: Suspended, status: 'True'}]}"), Want: "j | Suspended | 0/1 of 2 |  | <unknown> | (a) | (b) | (<none>)"},
	})
}

// A Job without labels has those of its pods, and then the ones that select them too.
func TestJobSharesLabels(t *testing.T) {
	for name, tt := range map[string]struct {
		own  map[string]string
		want int
	}{"none of its own": {nil, 5}, "some": {map[string]string{"b": "c"}, 1}} {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "j", UID: "u", Labels: tt.own}}
		j.Spec.Template.Labels = map[string]string{"a": "b"}
		defaultJob(j)
		selectOwnPods(j)
		if len(j.Labels) != tt.want || len(j.Spec.Template.Labels) != 5 {
			t.Errorf("%s: %v and %v", name, j.Labels, j.Spec.Template.Labels)
		}
	}
}

func TestJobSelectsItsOwnPods(t *testing.T) {
	k, obj := kindtest.Row(t, Kinds(), sampleJob)
	k.PrepareForCreate(obj)
	j := obj.(*batchv1.Job)
	if got := printers.Selector(j.Spec.Selector); got != "batch.kubernetes.io/controller-uid=u-1" {
		t.Errorf("selector %s", got)
	}
	want := "batch.kubernetes.io/controller-uid=u-1,batch.kubernetes.io/job-name=once,controller-uid=u-1,job-name=once"
	if got := printers.Labels(j.Spec.Template.Labels); got != want {
		t.Errorf("labels %s", got)
	}
}
