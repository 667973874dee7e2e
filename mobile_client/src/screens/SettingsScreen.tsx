import {useNavigation} from '@react-navigation/native';
import {useCallback, useEffect, useState} from 'react';
import {Platform, View} from 'react-native';

import {Button} from '../components/Button';
import {Choice, Toggle} from '../components/Choice';
import {Card, Row, Screen} from '../components/Layout';
import {Notice} from '../components/Notice';
import {Confirm, Sheet} from '../components/Sheet';
import {Words} from '../components/Words';
import {useServices, useSettings, useStore} from '../hooks/useServices';
import {useLocale, useText} from '../i18n';
import {languages} from '../i18n/languages';
import {saveMade} from '../services/files';
import {space} from '../theme/tokens';
import {cacheBudgets} from '../utils/constants';
import {apart, formatBytes, inOneLine} from '../utils/helpers';

const days = [1, 7, 30, 365] as const;

export function SettingsScreen() {
  const t = useText();
  const locale = useLocale();
  const navigation = useNavigation();
  const services = useServices();
  const {settings, cache, outbox, log} = services;
  const {servers, current, theme, language, cacheBytes, cacheDays, haptics} = useSettings();
  const lines = useStore(log);
  const [usage, setUsage] = useState<{entries: number; bytes: number} | null>(null);
  const [asking, setAsking] = useState(false);
  const [reading, setReading] = useState(false);
  const [exporting, setExporting] = useState(false);
  const [failed, setFailed] = useState(false);

  const takeOut = () => {
    setExporting(true);
    setFailed(false);
    void saveMade('application/zip', 'hybrid-ai-data.zip', services.exportAll)
      .catch(() => setFailed(true))
      .finally(() => setExporting(false));
  };

  const measure = useCallback(() => void cache.usage().then(setUsage), [cache]);
  useEffect(() => {
    measure();
    return navigation.addListener('focus', measure);
  }, [measure, navigation]);

  return (
    <Screen>
      <Card title={t('servers')}>
        {servers.length > 0 && (
          <Choice
            label={t('serverInUse')}
            value={current ?? ''}
            onChange={(id) => void settings.update({current: id})}
            options={servers.map((server) => ({value: server.id, label: server.name}))}
          />
        )}
        <Row>
          {servers.map((server) => (
            <Button key={server.id} icon="settings" label={t('setUp', {name: server.name})} onPress={() => navigation.navigate('Server', {id: server.id})} />
          ))}
          <Button icon="plus" label={t('addServer')} onPress={() => navigation.navigate('Server')} />
        </Row>
      </Card>

      <Card title={t('looks')}>
        <Choice
          label={t('theme')}
          value={theme}
          onChange={(value) => void settings.update({theme: value})}
          options={[
            {value: 'system' as const, label: t('asSystem')},
            {value: 'light' as const, label: t('light')},
            {value: 'dark' as const, label: t('dark')},
          ]}
        />
        <Choice
          label={t('languageApp')}
          value={language}
          onChange={(value) => void settings.update({language: value})}
          options={[
            {value: 'system' as const, label: t('asSystem')},
            ...(Object.entries(languages) as [keyof typeof languages, string][]).map(([value, label]) => ({value, label})),
          ]}
        />
        {Platform.OS !== 'web' && <Toggle label={t('haptics')} value={haptics} onChange={(value) => void settings.update({haptics: value})} />}
      </Card>

      <Card title={t('cache')}>
        <Words testID="cache-usage">{usage === null ? t('measuring') : t('cacheUsage', {n: usage.entries, size: apart(formatBytes(usage.bytes)), budget: apart(formatBytes(cacheBytes))})}</Words>
        <Choice
          label={t('cacheBudget')}
          value={cacheBytes}
          onChange={(value) => void settings.update({cacheBytes: value}).then(() => cache.tidy()).then(measure)}
          options={cacheBudgets.map((value) => ({value, label: formatBytes(value)}))}
        />
        <Choice
          label={t('cacheTime')}
          value={cacheDays}
          onChange={(value) => void settings.update({cacheDays: value})}
          options={days.map((value) => ({value: value as number, label: t('days', {n: value})}))}
        />
        <Row>
          <Button icon="trash" label={t('clearCache')} onPress={() => void cache.clear().then(measure)} />
        </Row>
      </Card>

      <Card title={t('data')}>
        <Words>{t('dataText')}</Words>
        <Row>
          <Button icon="save" label={t('exportData')} busy={exporting} onPress={takeOut} />
          <Button icon="info" label={t('log')} onPress={() => setReading(true)} />
          <Button look="danger" icon="trash" label={t('deleteData')} onPress={() => setAsking(true)} />
        </Row>
        {failed && <Notice look="danger" text={t('exportFailed')} />}
      </Card>

      <Confirm
        open={asking}
        title={t('deleteData')}
        text={t('deleteDataText', {n: outbox.jobs.get().filter((job) => job.state !== 'done').length})}
        action={t('deleteData')}
        onClose={() => setAsking(false)}
        onYes={() => void services.deleteAll()}
      />
      <Sheet open={reading} title={t('log')} onClose={() => setReading(false)}>
        <Words look="small">{t('logText')}</Words>
        {lines.length === 0 && <Words look="quiet">{t('logEmpty')}</Words>}
        {lines.map((line, index) => (
          <View key={index} style={{gap: space.hair}}>
            <Words selectable>{`${line.method} ${line.path} → ${line.status}`}</Words>
            <Words look="small" selectable>
              {inOneLine([new Date(line.at).toLocaleTimeString(locale), `${line.durationMs} ms`, line.requestId])}
            </Words>
          </View>
        ))}
      </Sheet>
    </Screen>
  );
}
