package state

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/iibake/iibake/test/localcloud/internal/clock"
)

// Region is the records of a region, of all accounts. What has an identifier of AWS's making is kept under it, what its
// account has named under Key(account, name).
type Region struct {
	Name string

	// EC2, EBS direct
	Images          Table[Image]          // by image id
	Snapshots       Table[Snapshot]       // by snapshot id
	LaunchTemplates Table[LaunchTemplate] // by template id
	Instances       Table[Instance]       // by instance id
	Volumes         Table[Volume]         // by volume id
	KeyPairs        Table[KeyPair]        // by Key(account, name)
	SecurityGroups  Table[SecurityGroup]  // by group id
	VPCs            Table[VPC]            // by VPC id
	Subnets         Table[Subnet]         // by subnet id
	Settings        Table[Settings]       // by account
	// Auto Scaling
	Groups    Table[Group]   // by Key(account, name)
	Refreshes Table[Refresh] // by refresh id
	// Elastic Load Balancing
	TargetGroups  Table[TargetGroup]  // by ARN
	LoadBalancers Table[LoadBalancer] // by ARN
	// Systems Manager, CloudWatch
	Parameters Table[Parameter]      // by Key(account, name)
	Drafts     Table[ParameterDraft] // by Key(account, name) and the version, as package ssm makes it
	Alarms     Table[Alarm]          // by Key(account, name)
	Metrics    Table[Metric]         // by Key(account, namespace, name and dimensions), as package cloudwatch makes it
	// Answers that a client token stands for
	Tokens Table[Token] // by TokenKey

	clock clock.Clock
	mu    sync.RWMutex
	now   time.Time
	then  []func()

	tables []namedTable // of the fields above, where changes are kept
}

// namedTable is a table under the name of its field.
type namedTable struct {
	name string
	anyTable
}

// noteChanges has the tables remember what is changed.
func (r *Region) noteChanges() {
	r.tables = r.allTables()
	for _, t := range r.tables {
		t.note()
	}
}

// allTables finds the tables among the fields, so that adding a field is all that a new kind of record needs.
func (r *Region) allTables() []namedTable {
	var all []namedTable
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() {
			if t, ok := reflect.TypeAssert[anyTable](v.Field(i).Addr()); ok {
				all = append(all, namedTable{field.Name, t})
			}
		}
	}
	return all
}

// changed reports whether there is something to keep.
func (r *Region) changed() bool {
	return slices.ContainsFunc(r.tables, func(t namedTable) bool { return t.dirtyLen() > 0 })
}

// Key is the key of what an account has named.
func Key(account, name string) string { return account + "/" + name }

// Now returns the time at which the current Update began; in a View it is the clock's.
func (r *Region) Now() time.Time {
	if r.now.IsZero() {
		return r.clock.Now()
	}
	return r.now
}

// Then has f called after the current Update, in order, without the lock. It is for what takes its time or needs the lock itself.
func (r *Region) Then(f func()) { r.then = append(r.then, f) }

// Counts returns how many records each table has; those without records are left out.
func (r *Region) Counts() map[string]int {
	counts := map[string]int{}
	for _, t := range r.allTables() {
		if n := t.Len(); n > 0 {
			counts[t.name] = n
		}
	}
	return counts
}
