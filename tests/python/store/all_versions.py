"""Looks at all versions of the objects of a bucket of S3: a program of its own, as boto3 is installed beside the servers.

    all_versions.py ENDPOINT BUCKET keep             has the bucket keep versions
    all_versions.py ENDPOINT BUCKET create           creates a bucket whose objects can be locked
    all_versions.py ENDPOINT BUCKET save FOLDER [PREFIX]
                                                     writes each version to a file, and lists delete markers
    all_versions.py ENDPOINT BUCKET hold KEY on|off  locks the newest version of an object, or releases all of them
"""

import json
import sys
from pathlib import Path

import boto3


def entries(client, bucket, kind, prefix=""):
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get(kind, ())


def save(client, bucket, folder, prefix=""):
    for number, entry in enumerate(entries(client, bucket, "Versions", prefix)):
        asked = {"Key": entry["Key"], "VersionId": entry["VersionId"]}
        body = client.get_object(Bucket=bucket, **asked)["Body"].read()
        (Path(folder) / f"{number:06}").write_bytes(body)
        (Path(folder) / f"{number:06}.json").write_text(json.dumps({**asked, "is_latest": entry["IsLatest"]}))
    print(json.dumps([entry["Key"] for entry in entries(client, bucket, "DeleteMarkers", prefix)]))


def hold(client, bucket, key, switch):
    versions = [entry for entry in entries(client, bucket, "Versions", key) if entry["Key"] == key]
    for entry in versions[:1] if switch == "on" else versions:
        held = {"Status": switch.upper()}
        client.put_object_legal_hold(Bucket=bucket, Key=key, VersionId=entry["VersionId"], LegalHold=held)


def main(endpoint, bucket, command, *arguments):
    client = boto3.client("s3", endpoint_url=endpoint)
    match command:
        case "keep":
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        case "create":
            client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        case "save":
            save(client, bucket, *arguments)
        case "hold":
            hold(client, bucket, *arguments)


main(*sys.argv[1:])
