package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	v1 "github.com/aws/karpenter-provider-aws/pkg/apis/v1"
	awscache "github.com/aws/karpenter-provider-aws/pkg/cache"
	"github.com/aws/karpenter-provider-aws/pkg/controllers/nodeclass"
	"github.com/aws/karpenter-provider-aws/pkg/operator/options"
	"github.com/aws/karpenter-provider-aws/pkg/providers/amifamily"
	"github.com/aws/karpenter-provider-aws/pkg/providers/arczonalshift"
	"github.com/aws/karpenter-provider-aws/pkg/providers/capacityreservation"
	"github.com/aws/karpenter-provider-aws/pkg/providers/instance"
	"github.com/aws/karpenter-provider-aws/pkg/providers/launchtemplate"
	"github.com/aws/karpenter-provider-aws/pkg/providers/placementgroup"
	"github.com/aws/karpenter-provider-aws/pkg/providers/securitygroup"
	karpenterssm "github.com/aws/karpenter-provider-aws/pkg/providers/ssm"
	"github.com/aws/karpenter-provider-aws/pkg/providers/subnet"
	"github.com/patrickmn/go-cache"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/clock"
	karpv1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/events"
	karpoptions "sigs.k8s.io/karpenter/pkg/operator/options"
	"sigs.k8s.io/karpenter/pkg/scheduling"
)

// launched is the result of Karpenter's work on a class.
type launched struct {
	Status v1.EC2NodeClassStatus `json:"status"`
	// Instance is the ID of the instance; empty if none was launched.
	Instance string `json:"instance,omitempty"`
	// Image is the image that the instance was launched from.
	Image string `json:"image,omitempty"`
	// Error returns why nothing was launched.
	Error string `json:"error,omitempty"`
}

// The cluster and the instance type of the launch.
const (
	cluster      = "orgami"
	instanceType = "t3.micro"
)

func launch(ctx context.Context, content []byte) (launched, error) {
	var class v1.EC2NodeClass
	if err := json.Unmarshal(content, &class); err != nil {
		return launched{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ctx = karpoptions.ToContext(ctx, &karpoptions.Options{})
	ctx = options.ToContext(ctx, &options.Options{ClusterName: cluster})
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return launched{}, err
	}
	client, now := ec2.NewFromConfig(settings), clock.RealClock{}
	subnets := subnet.NewDefaultProvider(client, newCache(), newCache())
	groups := securitygroup.NewDefaultProvider(client, newCache())
	images := amifamily.NewDefaultProvider(now, nil, karpenterssm.NewDefaultProvider(ssm.NewFromConfig(settings), newCache()), client, newCache())

	// The controller's steps for a class, except for the checks that need a cluster.
	_, amiErr := nodeclass.NewAMIReconciler(now, images).Reconcile(ctx, &class)
	_, subnetErr := nodeclass.NewSubnetReconciler(now, subnets).Reconcile(ctx, &class)
	_, groupErr := nodeclass.NewSecurityGroupReconciler(now, groups).Reconcile(ctx, &class)
	if err := errors.Join(amiErr, subnetErr, groupErr); err != nil {
		return launched{}, err
	}
	class.Status.InstanceProfile = "orgami-node"
	result := launched{Status: class.Status}
	if len(class.Status.AMIs) == 0 {
		result.Error = "no AMI was found"
		return result, nil
	}

	placement := placementgroup.NewProvider(client, newCache(), newCache())
	templates := launchtemplate.NewDefaultProvider(ctx, newCache(), client, nil, amifamily.NewDefaultResolver(settings.Region), groups, subnets, placement,
		nil, make(chan struct{}), net.ParseIP("10.100.0.10"), "https://cluster.example.com")
	cidr := "10.100.0.0/16"
	templates.ClusterCIDR.Store(&cidr)
	instances := instance.NewDefaultProvider(ctx, settings.Region, silent{}, client, awscache.NewUnavailableOfferings(), subnets, templates,
		capacityreservation.NewProvider(client, now, newCache(), newCache()), placement, arczonalshift.NewProvider(nil, now, ""), newCache())
	created, err := instances.Create(ctx, &class, claim(), map[string]string{v1.EKSClusterNameTagKey: cluster, v1.NodeClassTagKey: class.Name}, types(class))
	if err != nil {
		result.Error = err.Error()
		return result, nil
	}
	result.Instance, result.Image = created.ID, created.ImageID
	return result, nil
}

func newCache() *cache.Cache { return cache.New(time.Hour, time.Hour) }

// silent publishes no events.
type silent struct{}

func (silent) Publish(...events.Event) {}

// claim asks for an On-Demand Instance.
func claim() *karpv1.NodeClaim {
	claim := &karpv1.NodeClaim{}
	claim.Name = "claim"
	claim.Spec.Requirements = []karpv1.NodeSelectorRequirementWithMinValues{
		{Key: karpv1.CapacityTypeLabelKey, Operator: corev1.NodeSelectorOpIn, Values: []string{karpv1.CapacityTypeOnDemand}},
	}
	return claim
}

// types offers one instance type in the zones of the class.
func types(class v1.EC2NodeClass) []*cloudprovider.InstanceType {
	in := func(key, value string) *scheduling.Requirement {
		return scheduling.NewRequirement(key, corev1.NodeSelectorOpIn, value)
	}
	t := &cloudprovider.InstanceType{
		Name: instanceType,
		Requirements: scheduling.NewRequirements(in(corev1.LabelInstanceTypeStable, instanceType), in(corev1.LabelArchStable, karpv1.ArchitectureAmd64),
			in(corev1.LabelOSStable, string(corev1.Linux)), in(karpv1.CapacityTypeLabelKey, karpv1.CapacityTypeOnDemand)),
		Capacity: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi"), corev1.ResourcePods: resource.MustParse("4"),
		},
		Overhead: &cloudprovider.InstanceTypeOverhead{},
	}
	for _, s := range class.Status.Subnets {
		t.Offerings = append(t.Offerings, &cloudprovider.Offering{
			Requirements: scheduling.NewRequirements(in(karpv1.CapacityTypeLabelKey, karpv1.CapacityTypeOnDemand), in(corev1.LabelTopologyZone, s.Zone)),
			Price:        0.01, Available: true,
		})
	}
	return []*cloudprovider.InstanceType{t}
}
